//! `/connect/sessions`: how end users connect their accounts.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use http::Method;
use linkspan_api::connect::{ConfigDefaults, Overrides};
use linkspan_api::integrations::Data;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::call::Call;
use crate::client::Client;
use crate::end_user::{EndUser, Organization};
use crate::error::Error;

/// Calls on connect sessions.
#[derive(Debug, Clone)]
pub struct ConnectSessions {
    client: Client,
}

impl ConnectSessions {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// A session in which an end user connects an account. It needs an
    /// [`end_user`](CreateSession::end_user) or a [`tag`](CreateSession::tag).
    pub fn create(&self) -> CreateSession {
        self.session(&["connect", "sessions"], Body::default())
    }

    /// A session that gives a connection new credentials.
    pub fn reconnect(
        &self,
        integration: impl Into<String>,
        connection_id: impl Into<String>,
    ) -> CreateSession {
        let body = Body {
            connection_id: Some(connection_id.into()),
            integration_id: Some(integration.into()),
            ..Body::default()
        };
        self.session(&["connect", "sessions", "reconnect"], body)
    }

    fn session(&self, path: &'static [&'static str], body: Body) -> CreateSession {
        CreateSession {
            client: self.client.clone(),
            path,
            body,
        }
    }
}

/// [`ConnectSessions::create`] and [`ConnectSessions::reconnect`].
#[derive(Clone)]
#[must_use = "nothing is created before `send`"]
pub struct CreateSession {
    client: Client,
    path: &'static [&'static str],
    body: Body,
}

#[derive(Clone, Default, Serialize)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    integration_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<EndUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    organization: Option<Organization>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_integrations: Option<Vec<String>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    integrations_config_defaults: BTreeMap<String, ConfigDefaults>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    overrides: BTreeMap<String, Overrides>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url_override: Option<String>,
}

/// Leaves out the configuration, in which there may be a client's secret.
impl std::fmt::Debug for CreateSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CreateSession")
            .field("end_user", &self.body.end_user)
            .field("allowed_integrations", &self.body.allowed_integrations)
            .finish_non_exhaustive()
    }
}

impl CreateSession {
    /// Who connects.
    pub fn end_user(mut self, end_user: EndUser) -> Self {
        self.body.end_user = Some(end_user);
        self
    }

    /// The organisation of the end user.
    pub fn organization(mut self, organization: Organization) -> Self {
        self.body.organization = Some(organization);
        self
    }

    /// Adds an integration to those that may be connected; without this, all
    /// may. A session that reconnects takes its one integration only, and is
    /// refused with others.
    pub fn allow(mut self, integration: impl Into<String>) -> Self {
        let allowed = self.body.allowed_integrations.get_or_insert_default();
        allowed.push(integration.into());
        self
    }

    /// Adds a label for the connections that are made.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.body.tags.insert(key.into(), value.into());
        self
    }

    /// Sets a value of an integration's `connection_config` beforehand.
    pub fn connection_config(
        mut self,
        integration: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<Value>,
    ) -> Self {
        let config = &mut self.defaults(integration).connection_config;
        config.insert(name.into(), value.into());
        self
    }

    /// Sets a parameter of an integration's authorisation URL.
    pub fn authorization_param(
        mut self,
        integration: impl Into<String>,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Self {
        let params = &mut self.defaults(integration).authorization_params;
        params.insert(name.into(), value.into());
        self
    }

    /// Asks for scopes of the person's own on an integration, in place of those
    /// that were set before. Slack has such scopes; other providers are not told.
    pub fn user_scopes<I: IntoIterator<Item: Into<String>>>(
        mut self,
        integration: impl Into<String>,
        scopes: I,
    ) -> Self {
        let scopes: Vec<String> = scopes.into_iter().map(Into::into).collect();
        self.defaults(integration).user_scopes = Some(scopes.join(","));
        self
    }

    /// The guide for end users of an integration, an http(s) URL. The server
    /// checks it and keeps it with the session; its own page links no guides yet.
    pub fn docs_connect(mut self, integration: impl Into<String>, url: impl Into<String>) -> Self {
        let overrides = &mut self.body.overrides;
        overrides
            .entry(integration.into())
            .or_default()
            .docs_connect = Some(url.into());
        self
    }

    /// Where webhooks about the connections that are made go instead, an
    /// http(s) URL. A session that reconnects changes its connection's; without
    /// this it stays as it is. The server keeps it; it sends no webhooks yet.
    pub fn webhook_url_override(mut self, url: impl Into<String>) -> Self {
        self.body.webhook_url_override = Some(url.into());
        self
    }

    fn defaults(&mut self, integration: impl Into<String>) -> &mut ConfigDefaults {
        let defaults = &mut self.body.integrations_config_defaults;
        defaults.entry(integration.into()).or_default()
    }

    /// Opens the session.
    ///
    /// # Errors
    /// `invalid_body` with the fields that are wrong; see [`Error`].
    pub async fn send(self) -> Result<ConnectSession, Error> {
        let call = Call::new(&self.client, Method::POST, self.path);
        Ok(call.json(&self.body).send::<Data<_>>().await?.data)
    }
}

/// A session that was opened.
#[derive(Debug, Clone, Deserialize)]
pub struct ConnectSession {
    /// What the browser proves itself with. It is good for this session alone.
    pub token: SecretString,
    connect_link: SecretString,
    /// When the token stops working.
    pub expires_at: DateTime<Utc>,
}

impl ConnectSession {
    /// A page where the end user can connect. The token is part of it, so it
    /// is for that end user's eyes.
    #[must_use]
    pub fn connect_link(&self) -> &str {
        self.connect_link.expose_secret()
    }
}
