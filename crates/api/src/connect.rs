//! `/connect/sessions` and `/connect/session` (CONTRACT 2.4).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Labels that the product attaches to connections: at most 10.
pub type Tags = BTreeMap<String, String>;

/// Body of `POST /connect/sessions`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateConnectSession {
    /// Who will connect; optional when `tags` are given.
    pub end_user: Option<EndUser>,
    /// The organisation of the end user.
    pub organization: Option<Organization>,
    /// Keys of the integrations that may be connected; all when absent.
    pub allowed_integrations: Option<Vec<String>>,
    /// Per integration, what a flow starts with.
    #[serde(default)]
    pub integrations_config_defaults: BTreeMap<String, ConfigDefaults>,
    /// Labels for the connections that are made.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub tags: Tags,
    /// Per integration, what its connect form shows otherwise.
    #[serde(default)]
    pub overrides: BTreeMap<String, Overrides>,
    /// Where webhooks about the connections that are made go instead.
    pub webhook_url_override: Option<String>,
}

/// Body of `POST /connect/sessions/reconnect`: a session that gives one
/// connection new credentials.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ReconnectSession {
    /// The connection's id.
    pub connection_id: String,
    /// Its integration's key.
    pub integration_id: String,
    /// Who connects, if it is to be changed.
    pub end_user: Option<EndUser>,
    /// The organisation of the end user.
    pub organization: Option<Organization>,
    /// Per integration, what a flow starts with.
    #[serde(default)]
    pub integrations_config_defaults: BTreeMap<String, ConfigDefaults>,
    /// Labels in place of the connection's own; those stay when it is empty.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub tags: Tags,
    /// Per integration, what its connect form shows otherwise.
    #[serde(default)]
    pub overrides: BTreeMap<String, Overrides>,
    /// Where webhooks about the connection go instead, if it is to be changed.
    pub webhook_url_override: Option<String>,
}

/// What the connect form of one integration shows otherwise.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Overrides {
    /// The guide for end users.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub docs_connect: Option<String>,
}

/// What a flow on one integration starts with.
#[derive(Clone, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ConfigDefaults {
    /// User scopes, for the providers that have them (Slack).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_scopes: Option<String>,
    /// Further parameters of the authorisation URL.
    #[serde(default)]
    pub authorization_params: BTreeMap<String, String>,
    /// Values of the template's `connection_config` fields.
    #[serde(default)]
    pub connection_config: serde_json::Map<String, serde_json::Value>,
}

impl std::fmt::Debug for ConfigDefaults {
    /// Names only: a client's secret may be among the values.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConfigDefaults")
            .field("connection_config", &self.connection_config.keys())
            .finish_non_exhaustive()
    }
}

/// An end user of the product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct EndUser {
    /// The product's own id of the user.
    pub id: String,
    /// The user's email address.
    #[serde(default)]
    pub email: Option<String>,
    /// What people see.
    #[serde(default)]
    pub display_name: Option<String>,
    /// Labels.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub tags: Tags,
}

/// An organisation of end users.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Organization {
    /// The product's own id of the organisation.
    pub id: String,
    /// What people see.
    #[serde(default)]
    pub display_name: Option<String>,
}

/// Answer of `POST /connect/sessions`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectSession {
    /// `nango_connect_session_` and 64 hexadecimal digits.
    pub token: String,
    /// A page where the end user can connect.
    pub connect_link: String,
    /// When the token stops working.
    pub expires_at: DateTime<Utc>,
}

/// Answer of `GET /connect/session`, for the connect UI.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectSessionView {
    /// Keys of the integrations that may be connected; all when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_integrations: Option<Vec<String>>,
    /// Per integration, what a flow starts with. Client secrets are left out, and
    /// other secrets are shown as `********`.
    pub integrations_config_defaults: BTreeMap<String, ConfigDefaults>,
    /// Per integration, what the page shows in place of its own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, Overrides>,
    /// Who connects.
    #[serde(rename = "endUser", skip_serializing_if = "Option::is_none")]
    pub end_user: Option<EndUser>,
    /// Whether the session replaces the credentials of a connection.
    #[serde(rename = "isReconnecting")]
    pub is_reconnecting: bool,
    /// Where the websocket is.
    #[serde(rename = "websocketsPath")]
    pub websockets_path: String,
}
