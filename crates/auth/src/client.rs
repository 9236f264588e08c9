//! The OAuth client of an integration.

use secrecy::SecretString;

/// What the provider knows the integration as (RFC 6749 section 2).
#[derive(Debug, Clone)]
pub struct Client {
    /// The client's identifier.
    pub client_id: String,
    /// The client's secret; a public client has none.
    pub client_secret: Option<SecretString>,
    /// Scopes to ask for; the template's defaults when empty.
    pub scopes: Vec<String>,
}
