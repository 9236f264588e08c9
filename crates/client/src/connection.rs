//! One connection: reading, changing and using it.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use http::Method;
use linkspan_api::connections::{ConnectionEndUser, ConnectionError};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::Object;
use crate::call::Call;
use crate::client::Client;
use crate::connections::write_metadata;
use crate::credentials::Credentials;
use crate::end_user::EndUser;
use crate::error::Error;
use crate::proxy::ProxyCall;
use crate::records::Records;
use crate::syncs::{ConnectionSync, Syncs};

/// Calls on one connection; see [`Client::connection`].
#[derive(Debug, Clone)]
pub struct ConnectionHandle {
    client: Client,
    integration: String,
    id: String,
}

impl ConnectionHandle {
    pub(crate) fn new(client: Client, integration: String, id: String) -> Self {
        Self {
            client,
            integration,
            id,
        }
    }

    /// The connection and its credentials, refreshed when they are due.
    pub fn get(&self) -> GetConnection {
        GetConnection {
            handle: self.clone(),
            force_refresh: false,
        }
    }

    /// An access token that is good now. Ask each time that you need one:
    /// Linkspan refreshes it when it is due.
    ///
    /// # Errors
    /// [`Error::NoAccessToken`] when the auth mode has none, or the API key
    /// may not read credentials; and as [`GetConnection::send`].
    pub async fn access_token(&self) -> Result<SecretString, Error> {
        let credentials = self.get().send().await?.credentials;
        let none = || Error::NoAccessToken(credentials.kind().to_owned());
        credentials.access_token().ok_or_else(none)
    }

    /// A call of the provider's API with the connection's credentials. `path`
    /// is that of the API, and may have a query.
    pub fn proxy(&self, method: Method, path: impl Into<String>) -> ProxyCall {
        ProxyCall::new(
            &self.client,
            &self.integration,
            &self.id,
            method,
            path.into(),
        )
    }

    /// The records that syncs saved of it, of one model.
    pub fn records(&self, model: impl Into<String>) -> Records {
        Records::new(
            self.client.clone(),
            &self.integration,
            &self.id,
            model.into(),
        )
    }

    /// Its syncs.
    pub fn syncs(&self) -> Syncs {
        let connection = Some(self.id.clone());
        Syncs::new(self.client.clone(), self.integration.clone(), connection)
    }

    /// One sync of it, by its function's name.
    pub fn sync(&self, name: impl Into<String>) -> ConnectionSync {
        ConnectionSync::new(
            self.client.clone(),
            &self.integration,
            &self.id,
            name.into(),
        )
    }

    /// Changes the connection. What is not set stays as it is.
    pub fn update(&self) -> UpdateConnection {
        UpdateConnection {
            handle: self.clone(),
            body: Update::default(),
        }
    }

    /// Puts metadata in place of what there is.
    ///
    /// # Errors
    /// `unknown_connection` when there is none; see [`Error`].
    pub async fn set_metadata(&self, metadata: &Object) -> Result<(), Error> {
        self.write_metadata(Method::POST, metadata).await
    }

    /// Adds metadata to what there is; a field of the same name is replaced.
    ///
    /// # Errors
    /// `unknown_connection` when there is none; see [`Error`].
    pub async fn merge_metadata(&self, metadata: &Object) -> Result<(), Error> {
        self.write_metadata(Method::PATCH, metadata).await
    }

    async fn write_metadata(&self, method: Method, metadata: &Object) -> Result<(), Error> {
        let ids = [&self.id];
        write_metadata(&self.client, method, &self.integration, &ids, metadata).await
    }

    /// Deletes the connection.
    ///
    /// # Errors
    /// `unknown_connection` when there is none; see [`Error`].
    pub async fn delete(&self) -> Result<(), Error> {
        self.call(Method::DELETE).done().await
    }

    fn call(&self, method: Method) -> Call {
        Call::new(&self.client, method, &["connections", &self.id])
            .query([("provider_config_key", &self.integration)])
    }
}

/// [`ConnectionHandle::get`].
#[derive(Debug, Clone)]
#[must_use = "nothing is asked for before `send`"]
pub struct GetConnection {
    handle: ConnectionHandle,
    force_refresh: bool,
}

impl GetConnection {
    /// Refreshes the credentials even if they are not due.
    pub fn force_refresh(self) -> Self {
        Self {
            force_refresh: true,
            ..self
        }
    }

    /// Asks for it.
    ///
    /// # Errors
    /// `not_found` when there is none; `invalid_credentials` when the provider
    /// refuses to refresh; see [`Error`].
    pub async fn send(self) -> Result<Connection, Error> {
        let forced = self.force_refresh.then_some(("force_refresh", "true"));
        self.handle.call(Method::GET).query(forced).send().await
    }
}

/// A connection with its credentials.
#[derive(Debug, Clone, Deserialize)]
pub struct Connection {
    /// Internal number.
    pub id: i64,
    /// The connection's id.
    pub connection_id: String,
    /// The integration's key.
    pub provider_config_key: String,
    /// The provider's slug.
    pub provider: String,
    /// What is wrong with it now.
    #[serde(default)]
    pub errors: Vec<ConnectionError>,
    /// Who connected.
    pub end_user: Option<ConnectionEndUser>,
    /// What your product stored with it.
    pub metadata: Option<Object>,
    /// Values that the template's URLs and headers use.
    #[serde(default)]
    pub connection_config: Object,
    /// Labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// When its credentials were last asked for.
    pub last_fetched_at: DateTime<Utc>,
    /// The credentials.
    pub credentials: Credentials,
}

/// [`ConnectionHandle::update`].
#[derive(Debug, Clone)]
#[must_use = "nothing is changed before `send`"]
pub struct UpdateConnection {
    handle: ConnectionHandle,
    body: Update,
}

#[derive(Debug, Clone, Default, Serialize)]
struct Update {
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeMap<String, String>>,
    /// `Some(None)` is null, which clears it.
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<Option<EndUser>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url_override: Option<Option<String>>,
}

impl UpdateConnection {
    /// Puts labels in place of those that there are.
    pub fn tags<K: Into<String>, V: Into<String>>(
        mut self,
        tags: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        let tags = tags
            .into_iter()
            .map(|(key, value)| (key.into(), value.into()));
        self.body.tags = Some(tags.collect());
        self
    }

    /// Says who connected; `None` for nobody.
    pub fn end_user(mut self, end_user: impl Into<Option<EndUser>>) -> Self {
        self.body.end_user = Some(end_user.into());
        self
    }

    /// Says where webhooks about the connection go instead; `None` for nowhere
    /// else.
    pub fn webhook_url_override(mut self, url: Option<String>) -> Self {
        self.body.webhook_url_override = Some(url);
        self
    }

    /// Changes it.
    ///
    /// # Errors
    /// `invalid_body` with the fields that are wrong, `not_found` when there
    /// is no such connection; see [`Error`].
    pub async fn send(self) -> Result<(), Error> {
        self.handle
            .call(Method::PATCH)
            .json(&self.body)
            .done()
            .await
    }
}
