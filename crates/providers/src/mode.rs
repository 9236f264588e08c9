//! The auth modes, and what a template must have for each.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a provider authenticates (CONTRACT section 3), in the wire's spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the wire's own names; CONTRACT section 3 describes each"
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum AuthMode {
    #[serde(rename = "OAUTH1")]
    OAuth1,
    #[serde(rename = "OAUTH2")]
    OAuth2,
    #[serde(rename = "OAUTH2_CC")]
    OAuth2Cc,
    #[serde(rename = "API_KEY")]
    ApiKey,
    #[serde(rename = "BASIC")]
    Basic,
    #[serde(rename = "TWO_STEP")]
    TwoStep,
    #[serde(rename = "JWT")]
    Jwt,
    #[serde(rename = "APP")]
    App,
    #[serde(rename = "APP_STORE")]
    AppStore,
    #[serde(rename = "CUSTOM")]
    Custom,
    #[serde(rename = "TBA")]
    Tba,
    #[serde(rename = "BILL")]
    Bill,
    #[serde(rename = "SIGNATURE")]
    Signature,
    #[serde(rename = "AWS_SIGV4")]
    AwsSigV4,
    #[serde(rename = "NONE")]
    None,
    #[serde(rename = "INSTALL_PLUGIN")]
    InstallPlugin,
    #[serde(rename = "MCP_OAUTH2")]
    McpOAuth2,
    #[serde(rename = "MCP_OAUTH2_GENERIC")]
    McpOAuth2Generic,
}

/// Each mode, its wire name, and the template keys without which it cannot work.
const TABLE: &[(AuthMode, &str, &[&str])] = &[
    (
        AuthMode::OAuth1,
        "OAUTH1",
        &[
            "request_url",
            "authorization_url",
            "token_url",
            "signature_method",
        ],
    ),
    (
        AuthMode::OAuth2,
        "OAUTH2",
        &["authorization_url", "token_url"],
    ),
    (AuthMode::OAuth2Cc, "OAUTH2_CC", &["token_url"]),
    (AuthMode::ApiKey, "API_KEY", &["credentials.apiKey"]),
    (AuthMode::Basic, "BASIC", &[]),
    (
        AuthMode::TwoStep,
        "TWO_STEP",
        &["token_url", "token_response"],
    ),
    (AuthMode::Jwt, "JWT", &["signature", "token"]),
    (AuthMode::App, "APP", &["authorization_url", "token_url"]),
    (AuthMode::AppStore, "APP_STORE", &[]),
    (
        AuthMode::Custom,
        "CUSTOM",
        &["authorization_url", "token_url"],
    ),
    (AuthMode::Tba, "TBA", &[]),
    (AuthMode::Bill, "BILL", &["token_url"]),
    (AuthMode::Signature, "SIGNATURE", &["signature", "token"]),
    (AuthMode::AwsSigV4, "AWS_SIGV4", &[]),
    (AuthMode::None, "NONE", &[]),
    (AuthMode::InstallPlugin, "INSTALL_PLUGIN", &["auth_type"]),
    (
        AuthMode::McpOAuth2,
        "MCP_OAUTH2",
        &["client_registration", "authorization_url", "token_url"],
    ),
    (
        AuthMode::McpOAuth2Generic,
        "MCP_OAUTH2_GENERIC",
        &["connection_config.mcp_server_url"],
    ),
];

impl AuthMode {
    /// All modes, in the order of CONTRACT section 3.
    pub fn all() -> impl Iterator<Item = Self> {
        TABLE.iter().map(|(mode, _, _)| *mode)
    }

    /// The wire's spelling, for example `OAUTH2_CC`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// Template keys, dotted, that a template of this mode must set.
    #[must_use]
    pub fn required_keys(self) -> &'static [&'static str] {
        self.row().2
    }

    fn row(self) -> &'static (Self, &'static str, &'static [&'static str]) {
        // A test holds that row `n` is the `n`th variant.
        &TABLE[self as usize]
    }
}

impl fmt::Display for AuthMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_and_wire_names_agree_for_every_mode() {
        assert_eq!(TABLE.len(), AuthMode::McpOAuth2Generic as usize + 1);
        for (position, mode) in AuthMode::all().enumerate() {
            assert_eq!(mode as usize, position);
            let wire = serde_json::to_string(&mode).unwrap();
            assert_eq!(wire, format!("\"{}\"", mode.as_str()));
            assert_eq!(serde_json::from_str::<AuthMode>(&wire).unwrap(), mode);
        }
    }
}
