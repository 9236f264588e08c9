//! Our OpenAPI document: that it is true of this server, and that clients made
//! for the public document of the API that we are compatible with can use it.

mod document;
mod live;
mod logins;
mod public;
mod security;
