//! OAUTH2: the authorization code grant of RFC 6749 with PKCE (RFC 7636), and
//! the ways in which real providers deviate from it.

mod answer;
mod authorize_url;
mod begin;
mod exchange;
mod pkce;
mod token_request;
mod tokens;

pub use begin::begin;
pub use exchange::{CodeGrant, exchange, finish, refresh};
pub use tokens::Tokens;

#[cfg(test)]
mod tests;
