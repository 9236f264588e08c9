//! Creating and changing an integration.

use std::collections::BTreeMap;

use http::Method;
use linkspan_api::integrations::{Data, Integration};
use secrecy::SecretString;
use serde::Serialize;

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;
use crate::secret::{exposed, exposed_if};

/// [`Integrations::create`](crate::Integrations::create).
#[derive(Clone)]
#[must_use = "nothing is created before `send`"]
pub struct CreateIntegration {
    client: Client,
    body: Create,
}

#[derive(Clone, Serialize)]
struct Create {
    unique_key: String,
    provider: String,
    #[serde(flatten)]
    settings: Settings,
}

/// What can be set when an integration is created and later.
#[derive(Clone, Default, Serialize)]
struct Settings {
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward_webhooks: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Credentials>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    integration_config: BTreeMap<String, String>,
}

/// Your own credentials with the provider, by its auth mode.
#[derive(Clone, Serialize)]
#[serde(untagged)]
enum Credentials {
    Client(OAuthClient),
    App(App),
    AppWithClient {
        #[serde(flatten)]
        app: App,
        client_id: String,
        #[serde(serialize_with = "exposed")]
        client_secret: SecretString,
    },
    Plugin(Plugin),
}

#[derive(Clone, Serialize)]
struct OAuthClient {
    #[serde(rename = "type")]
    kind: &'static str,
    client_id: String,
    #[serde(serialize_with = "exposed")]
    client_secret: SecretString,
    #[serde(skip_serializing_if = "Option::is_none")]
    scopes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "exposed_if")]
    webhook_secret: Option<SecretString>,
}

#[derive(Clone, Serialize)]
struct App {
    #[serde(rename = "type")]
    kind: &'static str,
    app_id: String,
    app_link: String,
    #[serde(serialize_with = "exposed")]
    private_key: SecretString,
}

#[derive(Clone, Serialize)]
struct Plugin {
    #[serde(rename = "type")]
    kind: &'static str,
    app_link: String,
    #[serde(serialize_with = "exposed")]
    username: SecretString,
    #[serde(serialize_with = "exposed")]
    password: SecretString,
}

impl Settings {
    fn client(&mut self, kind: &'static str, client_id: String, client_secret: SecretString) {
        self.credentials = Some(Credentials::Client(OAuthClient {
            kind,
            client_id,
            client_secret,
            scopes: None,
            webhook_secret: None,
        }));
    }

    fn app(&mut self, app_id: String, app_link: String, private_key: SecretString) {
        let app = App {
            kind: "APP",
            app_id,
            app_link,
            private_key,
        };
        self.credentials = Some(match self.credentials.take() {
            Some(Credentials::Client(client)) => Credentials::AppWithClient {
                app: App {
                    kind: "CUSTOM",
                    ..app
                },
                client_id: client.client_id,
                client_secret: client.client_secret,
            },
            _ => Credentials::App(app),
        });
    }

    fn plugin(&mut self, app_link: String, username: SecretString, password: SecretString) {
        self.credentials = Some(Credentials::Plugin(Plugin {
            kind: "INSTALL_PLUGIN",
            app_link,
            username,
            password,
        }));
    }

    fn scopes<I: IntoIterator<Item: Into<String>>>(&mut self, scopes: I) {
        if let Some(Credentials::Client(client)) = &mut self.credentials {
            let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
            client.scopes = Some(scopes.join(","));
        }
    }

    fn webhook_secret(&mut self, secret: SecretString) {
        if let Some(Credentials::Client(client)) = &mut self.credentials {
            client.webhook_secret = Some(secret);
        }
    }
}

/// The setter of a client with the provider, whose credentials are of this type.
macro_rules! client {
    ($(#[$about:meta])* $name:ident, $kind:literal) => {
        $(#[$about])*
        pub fn $name(
            mut self,
            client_id: impl Into<String>,
            client_secret: impl Into<SecretString>,
        ) -> Self {
            let (client_id, client_secret) = (client_id.into(), client_secret.into());
            self.body.settings.client($kind, client_id, client_secret);
            self
        }
    };
}

/// The setters that creating and changing share.
macro_rules! settings {
    () => {
        /// What people see.
        pub fn display_name(mut self, name: impl Into<String>) -> Self {
            self.body.settings.display_name = Some(name.into());
            self
        }

        /// Whether webhooks of the provider are forwarded to your product.
        pub fn forward_webhooks(mut self, forward: bool) -> Self {
            self.body.settings.forward_webhooks = Some(forward);
            self
        }

        client! {
            /// Your OAuth 2.0 client with the provider.
            oauth2, "OAUTH2"
        }
        client! {
            /// Your OAuth 1.0a client with the provider.
            oauth1, "OAUTH1"
        }
        client! {
            /// Your client with a provider whose tokens people enter (`TBA`).
            tba, "TBA"
        }

        /// Your app, which people install from its page `app_link`, and its RSA
        /// key in PEM (`APP`). After [`oauth2`](Self::oauth2) it is an app with
        /// that client (`CUSTOM`).
        pub fn app(
            mut self,
            app_id: impl Into<String>,
            app_link: impl Into<String>,
            private_key: impl Into<SecretString>,
        ) -> Self {
            self.body
                .settings
                .app(app_id.into(), app_link.into(), private_key.into());
            self
        }

        /// Your plugin, which people install from its page `app_link`, and what
        /// its calls carry (`INSTALL_PLUGIN`).
        pub fn plugin(
            mut self,
            app_link: impl Into<String>,
            username: impl Into<SecretString>,
            password: impl Into<SecretString>,
        ) -> Self {
            self.body
                .settings
                .plugin(app_link.into(), username.into(), password.into());
            self
        }

        /// The scopes that accounts are asked for. They belong to the client:
        /// call it after [`oauth2`](Self::oauth2), or it does nothing.
        pub fn scopes<I: IntoIterator<Item: Into<String>>>(mut self, scopes: I) -> Self {
            self.body.settings.scopes(scopes);
            self
        }

        /// The secret that the provider signs webhooks with. It belongs to the
        /// client: call it after [`oauth2`](Self::oauth2), or it does nothing.
        pub fn webhook_secret(mut self, secret: impl Into<SecretString>) -> Self {
            self.body.settings.webhook_secret(secret.into());
            self
        }

        /// Sets a value that the provider's template asks integrations for.
        pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            let config = &mut self.body.settings.integration_config;
            config.insert(name.into(), value.into());
            self
        }
    };
}

/// Leaves out the settings, in which there are secrets.
impl std::fmt::Debug for CreateIntegration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateIntegration")
            .field("unique_key", &self.body.unique_key)
            .field("provider", &self.body.provider)
            .finish_non_exhaustive()
    }
}

impl CreateIntegration {
    pub(super) fn new(client: Client, unique_key: String, provider: String) -> Self {
        let settings = Settings::default();
        Self {
            client,
            body: Create {
                unique_key,
                provider,
                settings,
            },
        }
    }

    settings!();

    /// Creates it.
    ///
    /// # Errors
    /// `invalid_body` with the fields that are wrong,
    /// `duplicate_provider_config` when the key is taken; see [`Error`].
    pub async fn send(self) -> Result<Integration, Error> {
        let call = Call::new(&self.client, Method::POST, &["integrations"]);
        Ok(call.json(&self.body).send::<Data<_>>().await?.data)
    }
}

/// [`Integrations::update`](crate::Integrations::update).
#[derive(Clone)]
#[must_use = "nothing is changed before `send`"]
pub struct UpdateIntegration {
    client: Client,
    integration: String,
    body: Update,
}

#[derive(Clone, Default, Serialize)]
struct Update {
    #[serde(skip_serializing_if = "Option::is_none")]
    unique_key: Option<String>,
    #[serde(flatten)]
    settings: Settings,
}

/// Leaves out the settings, in which there are secrets.
impl std::fmt::Debug for UpdateIntegration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UpdateIntegration")
            .field("integration", &self.integration)
            .finish_non_exhaustive()
    }
}

impl UpdateIntegration {
    pub(super) fn new(client: Client, integration: String) -> Self {
        Self {
            client,
            integration,
            body: Update::default(),
        }
    }

    /// Gives it another key; only while it has no connections.
    pub fn unique_key(mut self, unique_key: impl Into<String>) -> Self {
        self.body.unique_key = Some(unique_key.into());
        self
    }

    settings!();

    /// Changes it.
    ///
    /// # Errors
    /// `invalid_body` with the fields that are wrong, `unknown_provider_config`
    /// when there is no such integration; see [`Error`].
    pub async fn send(self) -> Result<Integration, Error> {
        let path = ["integrations", &self.integration];
        let call = Call::new(&self.client, Method::PATCH, &path);
        Ok(call.json(&self.body).send::<Data<_>>().await?.data)
    }
}

/// [`Integrations::quickstart`](crate::Integrations::quickstart).
#[derive(Debug, Clone)]
#[must_use = "nothing is created before `send`"]
pub struct QuickstartIntegration {
    client: Client,
    body: Quickstart,
}

#[derive(Debug, Clone, Serialize)]
struct Quickstart {
    unique_key: String,
    provider: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward_webhooks: Option<bool>,
}

impl QuickstartIntegration {
    pub(super) fn new(client: Client, unique_key: String, provider: String) -> Self {
        let body = Quickstart {
            unique_key,
            provider,
            display_name: None,
            forward_webhooks: None,
        };
        Self { client, body }
    }

    /// What people see.
    pub fn display_name(mut self, name: impl Into<String>) -> Self {
        self.body.display_name = Some(name.into());
        self
    }

    /// Whether webhooks of the provider are forwarded to your product.
    pub fn forward_webhooks(mut self, forward: bool) -> Self {
        self.body.forward_webhooks = Some(forward);
        self
    }

    /// Creates it.
    ///
    /// # Errors
    /// `duplicate_provider_config` when the key is taken,
    /// `shared_credentials_provider_not_found` when the provider needs a client
    /// and the server has none of its own; see [`Error`].
    pub async fn send(self) -> Result<Integration, Error> {
        let path = ["integrations", "quickstart"];
        let call = Call::new(&self.client, Method::POST, &path);
        Ok(call.json(&self.body).send::<Data<_>>().await?.data)
    }
}
