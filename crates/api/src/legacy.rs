//! Bodies of deprecated routes that differ from those of their successors.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::json;

use crate::connect::{EndUser, Tags};
use crate::connections::{ImportConnection, Object};

/// Body of `POST /connection`: credentials beside the other fields, and their
/// kind told by which there are. `credentials` as in `POST /connections` may
/// take their place.
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportLegacyConnection {
    /// The integration's key.
    pub provider_config_key: String,
    /// The connection's id; a new one when absent.
    pub connection_id: Option<String>,
    /// What the product stores with it.
    pub metadata: Option<Object>,
    /// Values that the template's URLs and headers use.
    #[serde(default)]
    pub connection_config: Object,
    /// The credentials, as `POST /connections` takes them.
    #[cfg_attr(
        feature = "openapi",
        schema(value_type = Option<crate::connections::credentials::ImportedCredentials>)
    )]
    pub credentials: Option<Object>,
    /// Labels.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub tags: Tags,
    /// Who connected.
    pub end_user: Option<EndUser>,
    /// Where webhooks about the connection go instead.
    pub webhook_url_override: Option<String>,
    /// OAuth 2.0: the token.
    pub access_token: Option<String>,
    /// OAuth 2.0: what it is refreshed with.
    pub refresh_token: Option<String>,
    /// OAuth 2.0: when the token expires.
    pub expires_at: Option<String>,
    /// OAuth 2.0: in how many seconds the token expires, if `expires_at` does
    /// not say when.
    pub expires_in: Option<u32>,
    /// OAuth 2.0: the token does not expire, whatever the other two say.
    #[serde(default)]
    pub no_expiration: bool,
    /// OAuth 2.0: the client that the token was given to, if not the
    /// integration's.
    pub oauth_client_id_override: Option<String>,
    /// OAuth 2.0: that client's secret.
    pub oauth_client_secret_override: Option<String>,
    /// OAuth 1.0a: the token.
    pub oauth_token: Option<String>,
    /// OAuth 1.0a: its secret.
    pub oauth_token_secret: Option<String>,
    /// The user's name.
    pub username: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// The API key.
    pub api_key: Option<String>,
}

impl std::fmt::Debug for ImportLegacyConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportLegacyConnection")
            .field("provider_config_key", &self.provider_config_key)
            .field("connection_id", &self.connection_id)
            .finish_non_exhaustive()
    }
}

impl ImportLegacyConnection {
    /// The same in today's form.
    #[must_use]
    pub fn into_import(self, now: DateTime<Utc>) -> ImportConnection {
        let credentials = match &self.credentials {
            Some(credentials) => credentials.clone(),
            None => self.flat_credentials(now),
        };
        ImportConnection {
            provider_config_key: self.provider_config_key,
            connection_id: self.connection_id,
            metadata: self.metadata,
            connection_config: self.connection_config,
            credentials,
            tags: self.tags,
            end_user: self.end_user,
            webhook_url_override: self.webhook_url_override,
        }
    }

    fn flat_credentials(&self, now: DateTime<Utc>) -> Object {
        let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
        let (kind, fields) = if self.access_token.is_some() {
            let expires_at = match (self.no_expiration, &self.expires_at, self.expires_in) {
                (true, ..) => None,
                (false, Some(at), _) => Some(json!(at)),
                (false, None, seconds) => {
                    seconds.map(|seconds| json!(now + TimeDelta::seconds(i64::from(seconds))))
                }
            };
            let client = self.oauth_client_id_override.as_ref().map(
                |id| json!({ "client_id": id, "client_secret": self.oauth_client_secret_override }),
            );
            let fields = vec![
                ("access_token", text(&self.access_token)),
                ("refresh_token", text(&self.refresh_token)),
                ("expires_at", expires_at),
                ("config_override", client),
            ];
            ("OAUTH2", fields)
        } else if self.oauth_token.is_some() {
            let fields = vec![
                ("oauth_token", text(&self.oauth_token)),
                ("oauth_token_secret", text(&self.oauth_token_secret)),
            ];
            ("OAUTH1", fields)
        } else if self.api_key.is_some() {
            ("API_KEY", vec![("apiKey", text(&self.api_key))])
        } else if self.username.is_some() || self.password.is_some() {
            let fields = vec![
                ("username", text(&self.username)),
                ("password", text(&self.password)),
            ];
            ("BASIC", fields)
        } else {
            ("NONE", Vec::new())
        };
        let fields = fields
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)));
        std::iter::once(("type".to_owned(), json!(kind)))
            .chain(fields)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(body: serde_json::Value) -> serde_json::Value {
        let mut body = body;
        body["provider_config_key"] = json!("k");
        let body: ImportLegacyConnection = serde_json::from_value(body).unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        body.into_import(now).credentials.into()
    }

    #[test]
    fn the_fields_tell_the_kind_of_the_credentials() {
        for (flat, credentials_now) in [
            (
                json!({ "api_key": "s" }),
                json!({ "type": "API_KEY", "apiKey": "s" }),
            ),
            (
                json!({ "username": "u", "password": "p" }),
                json!({ "type": "BASIC", "username": "u", "password": "p" }),
            ),
            (
                json!({ "oauth_token": "t", "oauth_token_secret": "s" }),
                json!({ "type": "OAUTH1", "oauth_token": "t", "oauth_token_secret": "s" }),
            ),
            (json!({}), json!({ "type": "NONE" })),
            (
                json!({ "access_token": "a", "refresh_token": "r", "expires_in": 60,
                        "oauth_client_id_override": "i", "oauth_client_secret_override": "s" }),
                json!({ "type": "OAUTH2", "access_token": "a", "refresh_token": "r",
                        "expires_at": "2027-01-15T08:01:00Z",
                        "config_override": { "client_id": "i", "client_secret": "s" } }),
            ),
            (
                json!({ "access_token": "a", "expires_at": "2030-01-01", "no_expiration": true }),
                json!({ "type": "OAUTH2", "access_token": "a" }),
            ),
            (
                json!({ "credentials": { "type": "API_KEY", "apiKey": "s" }, "username": "u" }),
                json!({ "type": "API_KEY", "apiKey": "s" }),
            ),
        ] {
            assert_eq!(credentials(flat), credentials_now);
        }
    }
}
