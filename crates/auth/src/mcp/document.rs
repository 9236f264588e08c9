//! The document by which servers know this one without a registration (OAuth
//! Client ID Metadata Document).

use serde_json::{Value, json};

use super::register::CLIENT_NAME;

/// The document at `url`, which is the client's identifier.
#[must_use]
pub fn document(url: &str, home: &str, redirect_uri: &str) -> Value {
    json!({
        "client_id": url,
        "client_name": CLIENT_NAME,
        "client_uri": home,
        "redirect_uris": [redirect_uri],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    })
}
