//! Wire types of the Linkspan API: error codes, scopes, requests and
//! responses. Builds for wasm; knows nothing of servers or databases.

pub mod connect;
pub mod connections;
pub mod environments;
pub mod error;
mod given;
pub mod integrations;
pub mod legacy;
pub mod logs;
pub mod popup;
pub mod records;
pub mod scope;
pub mod syncs;

pub use error::{ErrorBody, ErrorCode, FieldError};
pub use scope::{Scope, Scopes};
