//! `/integrations` (CONTRACT 2.6).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::given::given;

/// Body of `POST /integrations`.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct CreateIntegration {
    /// The integration's key, unique in the environment.
    pub unique_key: String,
    /// The provider's slug.
    pub provider: String,
    /// What people see; the provider's name when absent.
    pub display_name: Option<String>,
    /// Whether webhooks of the provider are forwarded to the product.
    pub forward_webhooks: Option<bool>,
    /// The OAuth client, where the provider's mode has one.
    pub credentials: Option<IntegrationCredentials>,
    /// Values of the template's `integration_config` fields.
    #[serde(default)]
    pub integration_config: BTreeMap<String, String>,
    /// The same under its older name; `integration_config` wins.
    #[serde(default)]
    pub custom: BTreeMap<String, String>,
}

/// Body of `POST /integrations/quickstart`: an integration that needs no OAuth
/// client of the caller's own.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct QuickstartIntegration {
    /// The integration's key, unique in the environment.
    pub unique_key: String,
    /// The provider's slug.
    pub provider: String,
    /// What people see; the provider's name when absent.
    pub display_name: Option<String>,
    /// Whether webhooks of the provider are forwarded to the product.
    pub forward_webhooks: Option<bool>,
}

impl From<QuickstartIntegration> for CreateIntegration {
    fn from(quick: QuickstartIntegration) -> Self {
        Self {
            unique_key: quick.unique_key,
            provider: quick.provider,
            display_name: quick.display_name,
            forward_webhooks: quick.forward_webhooks,
            credentials: None,
            integration_config: BTreeMap::new(),
            custom: BTreeMap::new(),
        }
    }
}

/// Body of `PATCH /integrations/{unique_key}`. What is absent stays as it is.
#[derive(Debug, Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateIntegration {
    /// A new key; only while the integration has no connections.
    pub unique_key: Option<String>,
    /// What people see.
    pub display_name: Option<String>,
    /// Whether webhooks of the provider are forwarded to the product.
    pub forward_webhooks: Option<bool>,
    /// Another OAuth client, or another secret of the same one.
    pub credentials: Option<UpdateCredentials>,
    /// Values to set; the others stay.
    #[serde(default)]
    pub integration_config: BTreeMap<String, String>,
    /// The same under its older name; `integration_config` wins.
    #[serde(default)]
    pub custom: BTreeMap<String, String>,
}

/// An OAuth client that takes the place of the one there is.
#[derive(Clone, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", deny_unknown_fields)]
pub enum UpdateCredentials {
    /// An OAuth 2.0 client.
    #[serde(rename = "OAUTH2")]
    OAuth2 {
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: String,
        /// Scopes to ask for, comma separated; null clears them.
        #[serde(default, deserialize_with = "given")]
        scopes: Option<Option<String>>,
        /// The secret that the provider signs webhooks with; null clears it.
        #[serde(default, deserialize_with = "given")]
        webhook_secret: Option<Option<String>>,
    },
}

impl std::fmt::Debug for UpdateCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UpdateCredentials(hidden)")
    }
}

/// An integration's own credentials with the provider.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "type", deny_unknown_fields)]
pub enum IntegrationCredentials {
    /// An OAuth 2.0 client.
    #[serde(rename = "OAUTH2")]
    OAuth2 {
        /// The client's id.
        client_id: String,
        /// The client's secret.
        client_secret: String,
        /// Scopes to ask for, comma separated.
        #[serde(default)]
        scopes: Option<String>,
        /// The secret that the provider signs webhooks with.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        webhook_secret: Option<String>,
    },
}

impl std::fmt::Debug for IntegrationCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("IntegrationCredentials(hidden)")
    }
}

/// An integration as it is listed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Integration {
    /// The integration's key.
    pub unique_key: String,
    /// What people see.
    pub display_name: String,
    /// The provider's slug.
    pub provider: String,
    /// Address of the provider's logo.
    pub logo: String,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Whether webhooks of the provider are forwarded to the product.
    pub forward_webhooks: bool,
}

/// An integration with what `include=` asks for.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IntegrationFull {
    /// The integration.
    #[serde(flatten)]
    pub integration: Integration,
    /// Where the provider sends its webhooks, with `include=webhook`; null for
    /// a provider that sends none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook_url: Option<Option<String>>,
    /// Its credentials, with `include=credentials` and the scope for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Option<IntegrationCredentials>>,
}

/// Answer of the deprecated `GET /config/{unique_key}`.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LegacyConfig {
    /// The integration.
    pub config: LegacyIntegration,
}

/// An integration as `GET /config/{unique_key}` shows it.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LegacyIntegration {
    /// The integration's key.
    pub unique_key: String,
    /// The provider's slug.
    pub provider: String,
    /// Its sync functions.
    pub syncs: Vec<serde_json::Value>,
    /// Its action functions.
    pub actions: Vec<serde_json::Value>,
    /// Its OAuth client, with `include_creds=true`.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<LegacyCredentials>,
}

/// An OAuth client as `GET /config/{unique_key}` shows it.
#[derive(Clone, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LegacyCredentials {
    /// The client's id.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<String>,
    /// Scopes to ask for, comma separated.
    pub scopes: Option<String>,
}

impl std::fmt::Debug for LegacyCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LegacyCredentials(hidden)")
    }
}

/// `{"data": …}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Data<T> {
    /// The resource.
    pub data: T,
}

/// `{"success": true}`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Success {
    /// Always true: a failure is an error.
    pub success: bool,
}
