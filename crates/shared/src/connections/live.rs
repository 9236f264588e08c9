//! A connection ready for use: found, opened, and refreshed when it is due.

use std::sync::Arc;

use chrono::{TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_providers::Template;

use super::{Connection, refresh, store};
use crate::core::of_all;
use crate::db::schema::connections;
use crate::integrations::{self, Integration};
use crate::tenancy::EnvironmentId;
use crate::{Core, Error};

/// How exact `last_fetched_at` is; it decides which connections are kept fresh
/// in the background, and a write for each call would cost more than the call.
const FETCHED_PRECISION: TimeDelta = TimeDelta::hours(1);

/// Names a connection in the cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LiveKey {
    environment: EnvironmentId,
    integration: String,
    connection: String,
}

impl LiveKey {
    /// A connection by its integration's key and its id.
    #[must_use]
    pub fn new(environment: EnvironmentId, integration: &str, connection: &str) -> Self {
        Self {
            environment,
            integration: integration.to_owned(),
            connection: connection.to_owned(),
        }
    }
}

/// A connection ready for use.
#[derive(Debug, Clone)]
pub struct Live {
    /// Its integration.
    pub integration: Arc<Integration>,
    /// The template of its provider.
    pub template: Arc<Template>,
    /// Itself, with credentials that are good now.
    pub connection: Connection,
}

/// Which credentials will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Those in the cache, unless they are due for a refresh.
    Cached,
    /// Those in the database: another replica may have refreshed.
    Stored,
    /// New ones from the provider, whatever their age.
    Forced,
}

/// The connection of a key, with credentials that are good now.
///
/// # Errors
/// [`Error::UnknownIntegration`], [`Error::UnknownConnection`], or why the
/// credentials could not be refreshed.
pub async fn get(core: &Core, key: LiveKey, freshness: Freshness) -> Result<Arc<Live>, Error> {
    if freshness == Freshness::Cached
        && let Some(live) = cached(core, &key).await?
    {
        return Ok(live);
    }
    let live = stored(core, &key).await?;
    note_fetched(core, &live.connection).await?;
    let live = match refresh::run(core, live, freshness == Freshness::Forced).await {
        Ok(live) => Arc::new(live),
        Err(error) => {
            // What is cached does not say yet that something is wrong.
            core.live.invalidate(&key).await;
            return Err(error);
        }
    };
    core.live.insert(key, Arc::clone(&live)).await;
    Ok(live)
}

/// A connection that needs no refresh, from the cache. Callers that find it
/// missing at once, as after each end of an entry's life, share one reading:
/// dozens of the same would keep the processors from the calls for tens of
/// milliseconds. Nothing when each has to see for itself.
async fn cached(core: &Core, key: &LiveKey) -> Result<Option<Arc<Live>>, Error> {
    let held = core.live.get(key).await;
    let is_held = held.is_some();
    let live = held.filter(|live| !refresh::is_wanted(live));
    core.meter.connections.count(live.is_some());
    if is_held {
        return Ok(live);
    }
    if core.settings.cache_life.is_zero() {
        return Ok(None);
    }
    let read = async {
        let live = stored(core, key).await.map_err(Some)?;
        if refresh::is_wanted(&live) {
            return Err(None);
        }
        note_fetched(core, &live.connection).await.map_err(Some)?;
        Ok(Arc::new(live))
    };
    match core.live.try_get_with_by_ref(key, read).await {
        Ok(live) => Ok(Some(live).filter(|live| !refresh::is_wanted(live))),
        Err(error) => of_all(error).map_or(Ok(None), Err),
    }
}

/// Forgets what the cache has of a connection that was changed or deleted.
pub async fn forget(core: &Core, key: &LiveKey) {
    core.live.invalidate(key).await;
}

/// Forgets what the cache has of every connection of an integration.
pub fn forget_integration(core: &Core, environment: EnvironmentId, unique_key: &str) {
    let unique_key = unique_key.to_owned();
    let is_of_it =
        move |key: &LiveKey, _: &_| key.environment == environment && key.integration == unique_key;
    if core.live.invalidate_entries_if(is_of_it).is_err() {
        core.live.invalidate_all();
    }
}

/// The connection of a key as it is stored.
///
/// # Errors
/// [`Error::UnknownIntegration`], [`Error::UnknownConnection`], or when the
/// database fails.
pub async fn stored(core: &Core, key: &LiveKey) -> Result<Live, Error> {
    let keys = core.vault.environment(key.environment).await?;
    let mut conn = core.db.conn().await?;
    let integration =
        integrations::get(&mut conn, &keys, key.environment, &key.integration).await?;
    let connection = store::get(&mut conn, &keys, &integration, &key.connection).await?;
    let template = core.template(&integration.provider)?;
    Ok(Live {
        integration: Arc::new(integration),
        template,
        connection,
    })
}

async fn note_fetched(core: &Core, connection: &Connection) -> Result<(), Error> {
    if Utc::now() - connection.last_fetched_at <= FETCHED_PRECISION {
        return Ok(());
    }
    let mut conn = core.db.conn().await?;
    diesel::update(connections::table.find((connection.environment_id, connection.id)))
        .set(connections::last_fetched_at.eq(diesel::dsl::now))
        .execute(&mut conn)
        .await?;
    Ok(())
}
