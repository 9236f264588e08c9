//! `/sync/…`: the syncs of an integration's connections.

use http::Method;
use linkspan_api::syncs::{
    Frequency, NewVariant, OfConnection, SyncName, SyncStatus, SyncStatuses, SyncVariant,
    TellSyncs, TriggerOpts, TriggerSyncs, UpdateFrequency,
};

use crate::call::Call;
use crate::client::Client;
use crate::error::Error;

/// Calls on syncs: those of one connection
/// ([`ConnectionHandle::syncs`](crate::ConnectionHandle::syncs)), or of all
/// connections of an integration ([`Client::syncs`]); all of them, or those that are
/// [named](Syncs::named).
#[derive(Debug, Clone)]
pub struct Syncs {
    client: Client,
    integration: String,
    connection: Option<String>,
    names: Vec<SyncVariant>,
}

impl Syncs {
    pub(crate) fn new(client: Client, integration: String, connection: Option<String>) -> Self {
        Self {
            client,
            integration,
            connection,
            names: Vec::new(),
        }
    }

    /// Only the sync of this name, in its base variant; set several times, all of
    /// those.
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.variant(name, "base")
    }

    /// The same for one of its variants.
    #[must_use]
    pub fn variant(mut self, name: impl Into<String>, variant: impl Into<String>) -> Self {
        self.names.push(SyncVariant {
            name: name.into(),
            variant: variant.into(),
        });
        self
    }

    /// Lets those that are paused run by their schedules again, and now. The key
    /// needs the scope `environment:syncs:execute`.
    ///
    /// # Errors
    /// `no_syncs_found`, `unknown_connection`; see [`Error`].
    pub async fn start(&self) -> Result<(), Error> {
        self.tell("start").await
    }

    /// Lets them run no more by their schedules, and ends their runs. Scope as for
    /// [`Syncs::start`].
    ///
    /// # Errors
    /// As [`Syncs::start`].
    pub async fn pause(&self) -> Result<(), Error> {
        self.tell("pause").await
    }

    async fn tell(&self, what: &str) -> Result<(), Error> {
        let body = TellSyncs {
            syncs: self.bodies(),
            provider_config_key: self.integration.clone(),
            connection_id: self.connection.clone(),
        };
        let call = Call::new(&self.client, Method::POST, &["sync", what]);
        call.json(&body).done().await
    }

    /// Runs them now, or after the runs that are under way. Scope as for
    /// [`Syncs::start`].
    ///
    /// # Errors
    /// As [`Syncs::start`].
    pub async fn trigger(&self) -> Result<(), Error> {
        self.run(TriggerOpts::default()).await
    }

    /// Cancels the runs that are under way, and runs them from nothing; with
    /// `empty_cache` into a store without their records. Scope as for
    /// [`Syncs::start`].
    ///
    /// # Errors
    /// As [`Syncs::start`].
    pub async fn reset(&self, empty_cache: bool) -> Result<(), Error> {
        self.run(TriggerOpts {
            reset: Some(true),
            empty_cache: Some(empty_cache),
        })
        .await
    }

    async fn run(&self, opts: TriggerOpts) -> Result<(), Error> {
        let body = TriggerSyncs {
            syncs: self.bodies(),
            provider_config_key: Some(self.integration.clone()),
            connection_id: self.connection.clone(),
            opts: Some(opts),
            full_resync: None,
            sync_mode: None,
        };
        let call = Call::new(&self.client, Method::POST, &["sync", "trigger"]);
        call.json(&body).done().await
    }

    fn bodies(&self) -> Vec<SyncName> {
        self.names.iter().cloned().map(SyncName::Variant).collect()
    }

    /// How they are; those that there are none of are left out. The key needs the
    /// scope `environment:syncs:read`.
    ///
    /// # Errors
    /// `unknown_connection`; see [`Error`].
    pub async fn status(&self) -> Result<Vec<SyncStatus>, Error> {
        let names = self.names.iter();
        let names: Vec<_> = names
            .map(|name| format!("{}::{}", name.name, name.variant))
            .collect();
        let syncs = match names.is_empty() {
            true => "*".to_owned(),
            false => names.join(","),
        };
        let call = Call::new(&self.client, Method::GET, &["sync", "status"])
            .query([
                ("syncs", &syncs),
                ("provider_config_key", &self.integration),
            ])
            .query(self.connection.iter().map(|id| ("connection_id", id)));
        Ok(call.send::<SyncStatuses>().await?.syncs)
    }
}

/// Calls on one sync of one connection; see
/// [`ConnectionHandle::sync`](crate::ConnectionHandle::sync).
#[derive(Debug, Clone)]
pub struct ConnectionSync {
    client: Client,
    of: OfConnection,
    name: String,
}

impl ConnectionSync {
    pub(crate) fn new(client: Client, integration: &str, connection: &str, name: String) -> Self {
        Self {
            client,
            of: OfConnection {
                provider_config_key: integration.to_owned(),
                connection_id: connection.to_owned(),
            },
            name,
        }
    }

    /// Lets its base variant run in an interval of its own, such as `every 5
    /// minutes` (30 seconds at least), or with `None` in its function's again. What
    /// holds now. The key needs the scope `environment:syncs:update`.
    ///
    /// # Errors
    /// `sync_interval_too_short`, `unknown_sync`; see [`Error`].
    pub async fn set_frequency(&self, frequency: Option<&str>) -> Result<String, Error> {
        let body = UpdateFrequency {
            sync_name: self.name.clone(),
            sync_variant: None,
            provider_config_key: self.of.provider_config_key.clone(),
            connection_id: self.of.connection_id.clone(),
            frequency: Some(frequency.map(str::to_owned)),
        };
        let path = ["sync", "update-connection-frequency"];
        let call = Call::new(&self.client, Method::PUT, &path).json(&body);
        Ok(call.send::<Frequency>().await?.frequency)
    }

    /// Makes a variant: a further sync of the same function. Its id. The key needs
    /// the scope `environment:syncs:variant:create`.
    ///
    /// # Errors
    /// `sync_variant_already_exists`, `unknown_sync`, `invalid_variant` for `base`;
    /// see [`Error`].
    pub async fn create_variant(&self, variant: &str) -> Result<String, Error> {
        let call = self.call(Method::POST, variant);
        Ok(call.send::<NewVariant>().await?.id)
    }

    /// Deletes a variant with its records. The key needs the scope
    /// `environment:syncs:variant:delete`.
    ///
    /// # Errors
    /// `not_found`, `invalid_variant` for `base`; see [`Error`].
    pub async fn delete_variant(&self, variant: &str) -> Result<(), Error> {
        self.call(Method::DELETE, variant).done().await
    }

    fn call(&self, method: Method, variant: &str) -> Call {
        let path = ["sync", &self.name, "variant", variant];
        Call::new(&self.client, method, &path).json(&self.of)
    }
}
