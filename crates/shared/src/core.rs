//! What every service of the core works with.

use std::sync::Arc;
use std::time::Duration;

use linkspan_net as net;
use linkspan_providers::Template;
use metrics::gauge;
use moka::future::Cache;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::catalogue::Templates;
use crate::connections::live::{Live, LiveKey};
use crate::connections::refresh::Flights;
use crate::db::Database;
use crate::meter::{self, Meter};
use crate::tenancy::api_keys::{self, Caller};
use crate::vault::Vault;
use crate::{Error, db, logs, token};

/// Entries of each cache: bounds its memory, not what can be served.
const CACHE_ENTRIES: u64 = 100_000;

/// How the core behaves.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address that browsers reach this server by.
    pub public_url: Url,
    /// Life of a connect session.
    pub connect_session_life: Duration,
    /// How long an end user may take to authorise.
    pub flow_life: Duration,
    /// How long a provider may take to answer a request for tokens, or one that
    /// shows whether credentials work.
    pub token_timeout: Duration,
    /// How long a replica may serve what another one has changed since.
    pub cache_life: Duration,
    /// How long a server that stops answering keeps others from repeating its
    /// refresh.
    pub refresh_lease: Duration,
}

/// What every service of the core works with. Cheap to clone.
#[derive(Clone)]
pub struct Core {
    /// The control plane's tables.
    pub db: Database,
    /// The records' tables.
    pub records: Database,
    /// What seals and opens secrets.
    pub vault: Vault,
    /// The provider templates.
    pub catalogue: Templates,
    /// The only way out.
    pub http: net::Client,
    /// The operation log.
    pub logs: logs::Writer,
    /// Tells workers that there is something to do.
    pub jobs: linkspan_jobs::Waker,
    /// How the core behaves.
    pub settings: Arc<Settings>,
    callers: Cache<Vec<u8>, Caller>,
    pub(crate) live: Cache<LiveKey, Arc<Live>>,
    pub(crate) refreshes: Flights,
    pub(crate) meter: Meter,
}

impl Core {
    /// Puts the parts together. Must run inside a tokio runtime: refreshes stay
    /// on it.
    #[must_use]
    pub fn new(
        db: Database,
        records: Database,
        vault: Vault,
        catalogue: Templates,
        http: net::Client,
        logs: logs::Writer,
        settings: Settings,
    ) -> Self {
        let life = settings.cache_life;
        Self {
            db,
            records,
            vault,
            catalogue,
            http,
            logs,
            jobs: linkspan_jobs::Waker::new(),
            settings: Arc::new(settings),
            callers: Cache::builder()
                .max_capacity(CACHE_ENTRIES)
                .time_to_live(life)
                .build(),
            live: Cache::builder()
                .max_capacity(CACHE_ENTRIES)
                .support_invalidation_closures()
                .time_to_live(life)
                .build(),
            refreshes: Flights::on_this_runtime(),
            meter: Meter::new(),
        }
    }

    /// The caller that an API key belongs to, if there is one. A key that is
    /// revoked elsewhere works here until the cached answer expires.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn authenticate(&self, key: &SecretString) -> Result<Option<Caller>, Error> {
        let hash = token::hash(key.expose_secret());
        let cached = self.callers.get(&hash).await;
        self.meter.callers.count(cached.is_some());
        if let Some(caller) = cached {
            return Ok(Some(caller));
        }
        if self.settings.cache_life.is_zero() {
            return self.find_caller(key).await;
        }
        // Callers that find nothing at once, as after each end of a cached
        // answer's life, share one query.
        let found = self
            .callers
            .try_get_with(hash, async {
                let found = self.find_caller(key).await;
                found.map_err(Some)?.ok_or(None)
            })
            .await;
        match found {
            Ok(caller) => Ok(Some(caller)),
            Err(none) if none.is_none() => Ok(None),
            Err(error) => match of_all(error) {
                Some(error) => Err(error),
                None => self.find_caller(key).await,
            },
        }
    }

    async fn find_caller(&self, key: &SecretString) -> Result<Option<Caller>, Error> {
        let mut conn = self.db.conn().await?;
        Ok(api_keys::authenticate(&mut conn, key).await?)
    }

    /// Sets the gauges of what the core holds to what is now.
    pub fn observe(&self) {
        meter::database("control", self.db.usage());
        meter::database("logs", self.logs.database().usage());
        gauge!("linkspan_token_refreshes_running").set(self.refreshes.count() as f64);
        self.logs.observe();
    }

    /// Forgets every caller, when keys stop to work. The next call of each
    /// costs one query.
    pub(crate) fn forget_callers(&self) {
        self.callers.invalidate_all();
    }

    /// Forgets every connection that is held in memory with its template.
    pub(crate) fn forget_live(&self) {
        self.live.invalidate_all();
    }

    /// The template of a provider.
    ///
    /// # Errors
    /// [`Error::UnknownProvider`] when the catalogue has none of this name.
    pub fn template(&self, provider: &str) -> Result<Arc<Template>, Error> {
        self.catalogue
            .get(provider)
            .ok_or_else(|| Error::UnknownProvider(provider.to_owned()))
    }
}

/// The error of a look at the database that several have shared, for one of them;
/// none if it cannot be told twice, and each has to look for itself.
pub(crate) fn of_all(error: Arc<Option<Error>>) -> Option<Error> {
    Arc::try_unwrap(error).unwrap_or_else(|error| match &*error {
        // Looking again would wait as long again.
        Some(Error::Database(db::Error::Unavailable(why))) => {
            Some(db::Error::Unavailable(why.clone()).into())
        }
        _ => None,
    })
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").finish_non_exhaustive()
    }
}
