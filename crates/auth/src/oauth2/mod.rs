//! OAUTH2: the authorization code grant of RFC 6749 with PKCE (RFC 7636), and
//! the ways in which real providers deviate from it.

mod answer;
mod authorize_url;
mod begin;
mod exchange;
mod pkce;
mod token_request;
mod tokens;

use serde_json::{Map, Value};

pub use begin::{Begun, Request, begin, callback_metadata, code_param};
pub use exchange::{CodeGrant, finish, refresh};
pub use tokens::Tokens;

use crate::{Credentials, Error};

/// What a successful token request brought.
#[derive(Debug, Clone)]
pub struct Finished {
    /// To be stored in place of earlier ones.
    pub credentials: Credentials,
    /// The answer's values that the template's `token_response_metadata` names,
    /// by their path; for the connection's configuration.
    pub metadata: Map<String, Value>,
    /// The scopes granted, where the provider says which.
    pub granted_scopes: Option<Vec<String>>,
    /// Scopes that were asked for and are not among those granted.
    pub missing_scopes: Vec<String>,
    /// Why tokens that a quirk keeps beside these were not refreshed with them.
    pub warning: Option<Error>,
}

#[cfg(test)]
mod tests;
