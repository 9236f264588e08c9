//! OAUTH2: the authorization code grant of RFC 6749 with PKCE (RFC 7636), and
//! the ways in which real providers deviate from it.

pub(crate) mod answer;
mod authorize_url;
pub(crate) mod begin;
mod exchange;
mod pkce;
mod token_request;
mod tokens;

pub use begin::begin;
pub use exchange::{CodeGrant, exchange, finish, refresh, refresh_beside};
pub use tokens::Tokens;

use http::Response;
use serde_json::{Map, Value};

use crate::Error;

pub(crate) use answer::presentable;
pub(crate) use begin::resolved;

/// An answer as an object, as [`answer`] reads those of token endpoints.
pub(crate) fn read_object(response: &Response<Vec<u8>>) -> Result<Map<String, Value>, Error> {
    answer::object(response.body()).ok_or_else(|| Error::Unreadable {
        status: response.status().as_u16(),
        content_type: answer::content_type(response),
    })
}

/// The error that an answer describes, without `secrets`;
/// [`Error::NoAccessToken`] if it is none.
pub(crate) fn error_of(object: &Map<String, Value>, status: u16, secrets: &[&str]) -> Error {
    answer::refusal(object, status, secrets)
}

#[cfg(test)]
mod tests;
