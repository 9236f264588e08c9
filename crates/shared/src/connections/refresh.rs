//! Fresh credentials: one refresh at a time across servers, and none lost.
//!
//! A lease row says who may call the provider; the others go on with the token
//! that is still valid, or wait. What the provider gives is stored only if the
//! refresh token that it spent is still the stored one, whoever holds the lease
//! by then: a success that is dropped could be the only valid token.
//!
//! In one process all callers of a connection share one flight. docs/refresh.md
//! says what is guaranteed, and what cannot be.

use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use linkspan_auth::expiry;

use super::live::Live;
use super::store;
use crate::{Core, Error};

mod abandoned;
mod attempt;
mod flights;
mod given;
mod lease;
pub(super) mod state;

pub use abandoned::run as repeat_abandoned;
pub(crate) use flights::Flights;
use flights::{Failed, Outcome};
use lease::Lease;

/// After a failure, nobody asks the provider again for this long (CONTRACT 2.8).
const BACKOFF: TimeDelta = TimeDelta::seconds(30);
/// On so many days refreshes may fail before no more are tried unasked
/// (CONTRACT 2.8; the index of the keep-alive names it too).
pub(super) const MOST_FAILURE_DAYS: i16 = 4;
/// How much longer a caller waits for a refresh than the provider may take.
const BEYOND: Duration = Duration::from_secs(5);
/// How long it waits while the token that it has still works.
const COURTESY: Duration = Duration::from_secs(5);
/// How often a flight looks whether another server is done.
const LOOK: Duration = Duration::from_millis(100);

/// Whether the credentials should be refreshed before they are used: they are
/// due, and while they still work neither back-off nor exhaustion forbids it.
#[must_use]
pub fn is_wanted(live: &Live) -> bool {
    is_due(live) && !(is_usable(live) && is_held_back(live))
}

/// Whether a refresh has just failed, or has failed for days: nobody is asked
/// again unless somebody insists.
#[must_use]
pub fn is_held_back(live: &Live) -> bool {
    failed_lately(live) || is_exhausted(live)
}

/// Whether the credentials expire soon.
pub(super) fn is_due(live: &Live) -> bool {
    let credentials = &live.connection.credentials;
    let buffer = live.template.token_expiration_buffer;
    credentials.can_refresh() && expiry::is_due(credentials, Utc::now(), buffer)
}

fn failed_lately(live: &Live) -> bool {
    live.connection
        .last_refresh_failure_at
        .is_some_and(|at| Utc::now() - at < BACKOFF)
}

fn is_exhausted(live: &Live) -> bool {
    live.connection.refresh_failure_days >= MOST_FAILURE_DAYS
}

fn is_usable(live: &Live) -> bool {
    !expiry::is_expired(&live.connection.credentials, Utc::now())
}

/// Refreshes a connection's credentials, or waits for whoever is at it.
///
/// Unless it is forced, back-off and exhaustion hold, and a token that still
/// works is as good as a new one: it is the answer when the refresh fails,
/// takes long, or is under way already.
///
/// # Errors
/// [`Error::RefreshExhausted`] and [`Error::RefreshBackoff`] when nobody was
/// asked; [`Error::Refresh`] with the reason of a refresh that failed.
pub async fn run(core: &Core, live: Live, is_forced: bool) -> Result<Live, Error> {
    if !live.connection.credentials.can_refresh() || !(is_forced || is_due(&live)) {
        return Ok(live);
    }
    if is_forced {
        return forced(core, live).await;
    }
    let is_usable = is_usable(&live);
    if is_usable && (!is_wanted(&live) || core.refreshes.has(&live.connection)) {
        return Ok(live);
    }
    if is_exhausted(&live) {
        return Err(Error::RefreshExhausted(
            live.connection.refresh_failure_days,
        ));
    }
    if failed_lately(&live) {
        return Err(Error::RefreshBackoff);
    }
    let patience = if is_usable {
        COURTESY
    } else {
        whole_wait(core)
    };
    match (wait(core, &live, patience).await, is_usable) {
        (Some(Ok(fresh)), _) => Ok(fresh),
        (_, true) => Ok(live),
        (Some(Err(failed)), false) => Err(Error::Refresh(failed.error)),
        (None, false) => Err(takes_too_long()),
    }
}

/// What a flight brings that began before the caller had read the connection
/// may be what it has read already; the next one is newer.
async fn forced(core: &Core, live: Live) -> Result<Live, Error> {
    let version = live.connection.credentials_version;
    let mut brought = wait(core, &live, whole_wait(core)).await;
    if matches!(&brought, Some(Ok(same)) if same.connection.credentials_version == version) {
        brought = wait(core, &live, whole_wait(core)).await;
    }
    match brought {
        Some(outcome) => outcome.map_err(|failed| Error::Refresh(failed.error)),
        None => Err(takes_too_long()),
    }
}

fn whole_wait(core: &Core) -> Duration {
    core.settings.token_timeout + BEYOND
}

async fn wait(core: &Core, live: &Live, patience: Duration) -> Option<Outcome> {
    let flight = core
        .refreshes
        .join(&live.connection, || fly(core.clone(), live.clone()));
    tokio::time::timeout(patience, flight).await.ok()
}

fn takes_too_long() -> Error {
    Error::RefreshFailed("the provider, or another server that asks it, takes too long".to_owned())
}

/// Gets the lease and refreshes, or sees that another server has.
async fn fly(core: Core, live: Live) -> Outcome {
    let version = live.connection.credentials_version;
    let failed_before = live.connection.last_refresh_failure_at;
    let deadline = tokio::time::Instant::now() + whole_wait(&core);
    let mut live = live;
    loop {
        match Lease::take(&core, &live).await {
            Ok(Some(lease)) => {
                if let Some(outcome) = attempt::run(&core, live.clone(), lease).await {
                    return outcome;
                }
            }
            Ok(None) => {}
            Err(error) => return Err(Failed::new(error)),
        }
        if tokio::time::Instant::now() > deadline {
            return Err(Failed::new(takes_too_long()));
        }
        tokio::time::sleep(LOOK).await;
        live = reload(&core, live).await.map_err(Failed::new)?;
        if live.connection.credentials_version != version {
            return Ok(live);
        }
        if live.connection.last_refresh_failure_at != failed_before {
            return Err(failed_elsewhere());
        }
    }
}

fn failed_elsewhere() -> Failed {
    let reason = "it has just failed at another server; the operation log has the reason";
    Failed::new(Error::RefreshFailed(reason.to_owned()))
}

async fn reload(core: &Core, live: Live) -> Result<Live, Error> {
    let environment = live.integration.environment_id;
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let id = &live.connection.connection_id;
    let connection = store::get(&mut conn, &keys, &live.integration, id).await?;
    Ok(Live { connection, ..live })
}

/// Waits until no refresh is under way in this process, at most five seconds longer
/// than a provider may take to answer: what a provider has given is lost with a
/// process that ends before it is stored. Answers how many are left.
pub async fn drain(core: &Core) -> usize {
    let _ = tokio::time::timeout(whole_wait(core), core.refreshes.landed()).await;
    core.refreshes.count()
}

impl Failed {
    fn new(error: Error) -> Self {
        Self {
            error: Arc::new(error),
        }
    }
}
