//! `/connections`: listing and importing.

use std::collections::BTreeMap;

use http::Method;
use linkspan_api::connections::{ConnectionList, ConnectionSummary};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Object;
use crate::call::Call;
use crate::client::Client;
use crate::connection::Connection;
use crate::credentials::ImportCredentials;
use crate::end_user::EndUser;
use crate::error::Error;

/// Calls on the connections of the environment.
#[derive(Debug, Clone)]
pub struct Connections {
    client: Client,
}

impl Connections {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The connections, newest first.
    pub fn list(&self) -> ListConnections {
        ListConnections {
            client: self.client.clone(),
            query: Vec::new(),
        }
    }

    /// Puts metadata in place of what there is, in all of these connections of
    /// an integration (1,000 at most) or in none.
    ///
    /// # Errors
    /// `unknown_connection` names the first id that there is none of; see
    /// [`Error`].
    pub async fn set_metadata<I: AsRef<str>>(
        &self,
        integration: &str,
        ids: &[I],
        metadata: &Object,
    ) -> Result<(), Error> {
        write_metadata(&self.client, Method::POST, integration, ids, metadata).await
    }

    /// Adds metadata to what there is, in all of these connections of an
    /// integration (1,000 at most) or in none; a field of the same name is
    /// replaced.
    ///
    /// # Errors
    /// As [`set_metadata`](Self::set_metadata).
    pub async fn merge_metadata<I: AsRef<str>>(
        &self,
        integration: &str,
        ids: &[I],
        metadata: &Object,
    ) -> Result<(), Error> {
        write_metadata(&self.client, Method::PATCH, integration, ids, metadata).await
    }

    /// Imports a connection whose credentials come from elsewhere, or replaces
    /// those of one that exists.
    pub fn import(
        &self,
        integration: impl Into<String>,
        credentials: ImportCredentials,
    ) -> ImportConnection {
        ImportConnection {
            client: self.client.clone(),
            body: Import {
                provider_config_key: integration.into(),
                credentials: credentials.0,
                connection_id: None,
                metadata: None,
                connection_config: Object::new(),
                tags: BTreeMap::new(),
                end_user: None,
                webhook_url_override: None,
            },
        }
    }
}

pub(crate) async fn write_metadata<I: AsRef<str>>(
    client: &Client,
    method: Method,
    integration: &str,
    ids: &[I],
    metadata: &Object,
) -> Result<(), Error> {
    let ids: Vec<&str> = ids.iter().map(AsRef::as_ref).collect();
    let body = json!({
        "connection_id": ids,
        "provider_config_key": integration,
        "metadata": metadata,
    });
    let call = Call::new(client, method, &["connections", "metadata"]);
    call.json(&body).done().await
}

/// [`Connections::list`].
#[derive(Debug, Clone)]
#[must_use = "nothing is asked for before `send`"]
pub struct ListConnections {
    client: Client,
    query: Vec<(String, String)>,
}

impl ListConnections {
    /// Those of an integration; of any of several when called several times.
    pub fn integration(self, integration: impl Into<String>) -> Self {
        self.with("integrationId", integration)
    }

    /// Those of this id, of which each integration may have one.
    pub fn connection_id(self, id: impl Into<String>) -> Self {
        self.with("connectionId", id)
    }

    /// Those whose id or end user contains this.
    pub fn search(self, text: impl Into<String>) -> Self {
        self.with("search", text)
    }

    /// Those of an end user.
    pub fn end_user(self, id: impl Into<String>) -> Self {
        self.with("endUserId", id)
    }

    /// Those of an organisation's end users.
    pub fn organization(self, id: impl Into<String>) -> Self {
        self.with("endUserOrganizationId", id)
    }

    /// Those with a label; with all of them when called several times.
    pub fn tag(self, key: &str, value: impl Into<String>) -> Self {
        self.with(format!("tags[{key}]"), value)
    }

    /// How many there are on a page: 1 to 2,000, and 10,000 unless set.
    pub fn limit(self, limit: u32) -> Self {
        self.with("limit", limit.to_string())
    }

    /// Which page, from 0.
    pub fn page(self, page: u32) -> Self {
        self.with("page", page.to_string())
    }

    fn with(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.query.push((name.into(), value.into()));
        self
    }

    /// Asks for the page.
    ///
    /// # Errors
    /// `invalid_query_params` with the parameters that are wrong; see
    /// [`Error`].
    pub async fn send(self) -> Result<Vec<ConnectionSummary>, Error> {
        let call = Call::new(&self.client, Method::GET, &["connections"]).query(self.query);
        Ok(call.send::<ConnectionList>().await?.connections)
    }
}

/// [`Connections::import`].
#[derive(Clone)]
#[must_use = "nothing is imported before `send`"]
pub struct ImportConnection {
    client: Client,
    body: Import,
}

#[derive(Clone, Serialize)]
struct Import {
    provider_config_key: String,
    credentials: Object,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Object>,
    #[serde(skip_serializing_if = "Object::is_empty")]
    connection_config: Object,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_user: Option<EndUser>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_url_override: Option<String>,
}

impl std::fmt::Debug for ImportConnection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ImportConnection")
            .field("provider_config_key", &self.body.provider_config_key)
            .field("connection_id", &self.body.connection_id)
            .finish_non_exhaustive()
    }
}

impl ImportConnection {
    /// The connection's id; the server makes one up unless it is set.
    pub fn connection_id(mut self, id: impl Into<String>) -> Self {
        self.body.connection_id = Some(id.into());
        self
    }

    /// What your product stores with it.
    pub fn metadata(mut self, metadata: Object) -> Self {
        self.body.metadata = Some(metadata);
        self
    }

    /// Sets a value that the template's URLs and headers use.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.body
            .connection_config
            .insert(name.into(), value.into());
        self
    }

    /// Adds a label.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.body.tags.insert(key.into(), value.into());
        self
    }

    /// Who connected.
    pub fn end_user(mut self, end_user: EndUser) -> Self {
        self.body.end_user = Some(end_user);
        self
    }

    /// Where webhooks about the connection go instead.
    pub fn webhook_url_override(mut self, url: impl Into<String>) -> Self {
        self.body.webhook_url_override = Some(url.into());
        self
    }

    /// Imports it.
    ///
    /// # Errors
    /// `invalid_body` with the fields that are wrong; see [`Error`].
    pub async fn send(self) -> Result<Connection, Error> {
        let call = Call::new(&self.client, Method::POST, &["connections"]);
        call.json(&self.body).send().await
    }
}
