//! `/connections` (CONTRACT 2.6).

#[cfg(feature = "openapi")]
pub(crate) mod credentials;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::connect::{EndUser, Tags};
use crate::given::given;

/// A JSON object.
pub type Object = serde_json::Map<String, serde_json::Value>;

/// Body of `POST /connections`: a connection whose credentials come from
/// elsewhere.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ImportConnection {
    /// The integration's key.
    pub provider_config_key: String,
    /// The connection's id; a new one when absent.
    pub connection_id: Option<String>,
    /// What the product stores with it.
    pub metadata: Option<Object>,
    /// Values that the template's URLs and headers use.
    #[serde(default)]
    pub connection_config: Object,
    /// The credentials; `type` names the auth mode and decides on the others.
    #[cfg_attr(feature = "openapi", schema(value_type = credentials::ImportedCredentials))]
    pub credentials: Object,
    /// Labels.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub tags: Tags,
    /// Who connected.
    pub end_user: Option<EndUser>,
    /// Where webhooks about the connection go instead.
    pub webhook_url_override: Option<String>,
}

impl std::fmt::Debug for ImportConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportConnection")
            .field("provider_config_key", &self.provider_config_key)
            .field("connection_id", &self.connection_id)
            .finish_non_exhaustive()
    }
}

/// Body of `PATCH /connections/{id}`. What is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateConnection {
    /// Labels, in place of those that there are.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub tags: Option<Tags>,
    /// Who connected; null for nobody.
    #[serde(default, deserialize_with = "given")]
    pub end_user: Option<Option<EndUser>>,
    /// Where webhooks about the connection go instead; null for nowhere else.
    #[serde(default, deserialize_with = "given")]
    pub webhook_url_override: Option<Option<String>>,
}

/// Body, and answer, of `POST` and `PATCH /connections/metadata`.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WriteMetadata {
    /// One connection's id, or many.
    pub connection_id: OneOrMany,
    /// The integration's key.
    pub provider_config_key: String,
    /// The metadata.
    pub metadata: Object,
}

/// Metadata may hold anything, and is not shown.
impl std::fmt::Debug for WriteMetadata {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WriteMetadata")
            .field("connection_id", &self.connection_id)
            .field("provider_config_key", &self.provider_config_key)
            .finish_non_exhaustive()
    }
}

/// `"id"` or `["id", …]`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged, expecting = "expected a string or an array of strings")]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Many.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

/// Answer of `GET /connections`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionList {
    /// The page of connections, newest first.
    pub connections: Vec<ConnectionSummary>,
}

/// A connection as it is listed.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionSummary {
    /// Internal number.
    pub id: i64,
    /// The connection's id.
    pub connection_id: String,
    /// The integration's key.
    pub provider_config_key: String,
    /// The provider's slug.
    pub provider: String,
    /// When it was created.
    pub created: DateTime<Utc>,
    /// What the product stored with it.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: serde_json::Value,
    /// What is wrong with it now.
    pub errors: Vec<ConnectionError>,
    /// Who connected.
    pub end_user: Option<ConnectionEndUser>,
    /// Labels.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub tags: Tags,
}

/// Metadata may hold anything, and is not shown.
impl std::fmt::Debug for ConnectionSummary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionSummary")
            .field("id", &self.id)
            .field("connection_id", &self.connection_id)
            .field("provider_config_key", &self.provider_config_key)
            .finish_non_exhaustive()
    }
}

/// Answer of `GET /connections/{id}`.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionFull {
    /// Internal number.
    pub id: i64,
    /// The connection's id.
    pub connection_id: String,
    /// The integration's key.
    pub provider_config_key: String,
    /// The provider's slug.
    pub provider: String,
    /// What is wrong with it now.
    pub errors: Vec<ConnectionError>,
    /// Who connected.
    pub end_user: Option<ConnectionEndUser>,
    /// What the product stored with it.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub metadata: serde_json::Value,
    /// Values that the template's URLs and headers use; the secret ones only for
    /// keys that may read credentials.
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub connection_config: serde_json::Value,
    /// Labels.
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub tags: Tags,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When its credentials were last asked for.
    pub last_fetched_at: DateTime<Utc>,
    /// The credentials, refreshed; `{}` without the scope for them.
    #[cfg_attr(feature = "openapi", schema(value_type = credentials::ConnectionCredentials))]
    pub credentials: serde_json::Value,
}

impl std::fmt::Debug for ConnectionFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ConnectionFull")
            .field("connection_id", &self.connection_id)
            .finish_non_exhaustive()
    }
}

/// Something that is wrong with a connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionError {
    /// `auth` or `sync`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The operation in the logs.
    pub log_id: String,
}

/// Who connected, as connections show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ConnectionEndUser {
    /// The product's own id of the user.
    pub id: String,
    /// What people see.
    pub display_name: Option<String>,
    /// The user's email address.
    pub email: Option<String>,
    /// Labels.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(inline))]
    pub tags: Tags,
    /// The user's organisation.
    pub organization: Option<crate::connect::Organization>,
}
