//! `/integrations` (CONTRACT 2.6).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

mod credentials;

pub use credentials::{
    App, AppWithClient, GivenClient, GivenCredentials, GivenPublicClient, IntegrationCredentials,
    Plugin,
};

/// Body of `POST /integrations`.
#[derive(Clone, Deserialize)]
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
    /// Your own credentials with the provider, where its mode has some.
    pub credentials: Option<GivenCredentials>,
    /// Values of the template's `integration_config` fields.
    #[serde(default)]
    pub integration_config: BTreeMap<String, String>,
    /// The same under its older name; `integration_config` wins.
    #[serde(default)]
    pub custom: BTreeMap<String, String>,
}

/// Without the values of the configuration, of which some are secret.
impl std::fmt::Debug for CreateIntegration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateIntegration")
            .field("unique_key", &self.unique_key)
            .field("provider", &self.provider)
            .field("integration_config", &self.integration_config.keys())
            .finish_non_exhaustive()
    }
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
#[derive(Clone, Default, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateIntegration {
    /// A new key; only while the integration has no connections.
    pub unique_key: Option<String>,
    /// What people see.
    pub display_name: Option<String>,
    /// Whether webhooks of the provider are forwarded to the product.
    pub forward_webhooks: Option<bool>,
    /// Other credentials of your own, or another secret of the same ones.
    pub credentials: Option<GivenCredentials>,
    /// Values to set; the others stay.
    #[serde(default)]
    pub integration_config: BTreeMap<String, String>,
    /// The same under its older name; `integration_config` wins.
    #[serde(default)]
    pub custom: BTreeMap<String, String>,
}

/// Without the values of the configuration, of which some are secret.
impl std::fmt::Debug for UpdateIntegration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateIntegration")
            .field("unique_key", &self.unique_key)
            .field("integration_config", &self.integration_config.keys())
            .finish_non_exhaustive()
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
