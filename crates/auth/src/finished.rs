//! What connecting or refreshing brought.

use serde_json::{Map, Value};

use crate::{Credentials, Error};

/// What connecting or refreshing brought.
#[derive(Debug, Clone)]
pub struct Finished {
    /// To be stored in place of earlier ones.
    pub credentials: Credentials,
    /// Values for the connection's configuration: those of the answer that the
    /// template's `token_response_metadata` names, by their path, and what the
    /// mode itself keeps there.
    pub metadata: Map<String, Value>,
    /// The scopes granted, where the provider says which.
    pub granted_scopes: Option<Vec<String>>,
    /// Scopes that were asked for and are not among those granted.
    pub missing_scopes: Vec<String>,
    /// Why the person's tokens were not refreshed with their app's.
    pub warning: Option<Error>,
}

impl From<Credentials> for Finished {
    fn from(credentials: Credentials) -> Self {
        Self {
            credentials,
            metadata: Map::new(),
            granted_scopes: None,
            missing_scopes: Vec::new(),
            warning: None,
        }
    }
}
