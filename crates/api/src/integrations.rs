//! `/integrations` (CONTRACT 2.6).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Body of `POST /integrations`.
#[derive(Debug, Clone, Deserialize)]
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
}

/// An integration's own credentials with the provider.
#[derive(Clone, Serialize, Deserialize)]
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
pub struct IntegrationFull {
    /// The integration.
    #[serde(flatten)]
    pub integration: Integration,
    /// Its credentials, with `include=credentials` and the scope for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credentials: Option<Option<IntegrationCredentials>>,
}

/// `{"data": …}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Data<T> {
    /// The resource.
    pub data: T,
}

/// `{"success": true}`.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Success {
    /// Always true: a failure is an error.
    pub success: bool,
}
