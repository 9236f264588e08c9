//! `/integrations`.

mod write;

use http::Method;
use linkspan_api::integrations::{Data, Integration};
use secrecy::SecretString;
use serde::Deserialize;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

pub use write::{CreateIntegration, QuickstartIntegration, UpdateIntegration};

/// Calls on the integrations of the environment.
#[derive(Debug, Clone)]
pub struct Integrations {
    client: Client,
}

impl Integrations {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// All of them.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn list(&self) -> Result<Vec<Integration>, Error> {
        let call = Call::new(&self.client, Method::GET, &["integrations"]);
        Ok(call.send::<Data<_>>().await?.data)
    }

    /// One integration by its key.
    pub fn get(&self, integration: impl Into<String>) -> GetIntegration {
        GetIntegration {
            client: self.client.clone(),
            integration: integration.into(),
            include: Vec::new(),
        }
    }

    /// Creates one with a key of your choice for a provider's slug.
    pub fn create(
        &self,
        unique_key: impl Into<String>,
        provider: impl Into<String>,
    ) -> CreateIntegration {
        CreateIntegration::new(self.client.clone(), unique_key.into(), provider.into())
    }

    /// Creates one for a provider that needs no client of yours with it.
    pub fn quickstart(
        &self,
        unique_key: impl Into<String>,
        provider: impl Into<String>,
    ) -> QuickstartIntegration {
        QuickstartIntegration::new(self.client.clone(), unique_key.into(), provider.into())
    }

    /// Changes one. What is not set stays as it is.
    pub fn update(&self, integration: impl Into<String>) -> UpdateIntegration {
        UpdateIntegration::new(self.client.clone(), integration.into())
    }

    /// Deletes one, and its connections.
    ///
    /// # Errors
    /// `unknown_provider_config` when there is none; see [`Error`].
    pub async fn delete(&self, integration: &str) -> Result<(), Error> {
        let path = ["integrations", integration];
        Call::new(&self.client, Method::DELETE, &path).done().await
    }
}

/// [`Integrations::get`].
#[derive(Debug, Clone)]
#[must_use = "nothing is asked for before `send`"]
pub struct GetIntegration {
    client: Client,
    integration: String,
    include: Vec<(&'static str, &'static str)>,
}

impl GetIntegration {
    /// Also says where the provider sends its webhooks.
    pub fn with_webhook(mut self) -> Self {
        self.include.push(("include", "webhook"));
        self
    }

    /// Also gives its client with the provider. The key needs the scope
    /// `environment:integrations:read_credentials`.
    pub fn with_credentials(mut self) -> Self {
        self.include.push(("include", "credentials"));
        self
    }

    /// Asks for it.
    ///
    /// # Errors
    /// `unknown_provider_config` when there is none, `forbidden` without the
    /// scope; see [`Error`].
    pub async fn send(self) -> Result<IntegrationDetails, Error> {
        let path = ["integrations", &self.integration];
        let call = Call::new(&self.client, Method::GET, &path).query(self.include);
        Ok(call.send::<Data<_>>().await?.data)
    }
}

/// An integration with what was asked for beside it.
#[derive(Debug, Clone, Deserialize)]
pub struct IntegrationDetails {
    /// The integration.
    #[serde(flatten)]
    pub integration: Integration,
    /// Where the provider sends its webhooks, with
    /// [`with_webhook`](GetIntegration::with_webhook), if it sends any.
    pub webhook_url: Option<String>,
    /// Its client with the provider, with
    /// [`with_credentials`](GetIntegration::with_credentials), if it has one.
    pub credentials: Option<IntegrationClient>,
}

/// What an integration has with its provider: a client, an app, both, or a plugin.
#[derive(Debug, Clone, Deserialize)]
pub struct IntegrationClient {
    /// The auth mode, such as `OAUTH2`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The client's id.
    pub client_id: Option<String>,
    /// The client's secret.
    pub client_secret: Option<SecretString>,
    /// Scopes to ask for, comma separated.
    pub scopes: Option<String>,
    /// The secret that the provider signs webhooks with.
    pub webhook_secret: Option<SecretString>,
    /// The app's id.
    pub app_id: Option<String>,
    /// The page from which the app, or the plugin, is installed.
    pub app_link: Option<String>,
    /// The app's RSA key, PEM.
    pub private_key: Option<SecretString>,
    /// The name that the plugin's calls carry.
    pub username: Option<SecretString>,
    /// The password that they carry.
    pub password: Option<SecretString>,
}
