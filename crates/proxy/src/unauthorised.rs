//! What a 401 is worth: one more try, if there are newer credentials to be had.

use std::sync::Arc;
use std::time::Duration;

use linkspan_shared::Core;
use linkspan_shared::connections::Live;
use linkspan_shared::connections::live::{self, Freshness, LiveKey};
use linkspan_shared::connections::refresh;
use linkspan_shared::logs::Level;
use linkspan_shared::tenancy::EnvironmentId;
use moka::future::Cache;

use crate::record::Record;

/// How long new credentials that were refused are taken as they are.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Entries: bounds the memory, not what can be served.
const ENTRIES: u64 = 10_000;

/// Gets new credentials after a 401, once for each that the provider refuses.
///
/// An API that says 401 to a call, and not to the token, would otherwise cost
/// a refresh for every call, and some providers block who refreshes that often.
#[derive(Clone)]
pub(crate) struct Renewals {
    /// The version of credentials that were refused when they were new.
    refused: Cache<(EnvironmentId, i64), i64>,
}

impl Renewals {
    pub(crate) fn new() -> Self {
        Self {
            refused: Cache::builder()
                .max_capacity(ENTRIES)
                .time_to_live(REMEMBERED)
                .build(),
        }
    }

    /// Newer credentials than the refused ones, if there are any: what another
    /// replica has stored, else what the provider gives. A failure to get them
    /// is noted; the 401 then says what the caller needs to know.
    pub(crate) async fn renew(
        &self,
        core: &Core,
        key: &LiveKey,
        refused: &Live,
        record: &mut Record,
    ) -> Option<Arc<Live>> {
        if !refused.connection.credentials.can_refresh() {
            return None;
        }
        let version = refused.connection.credentials_version;
        if self.refused.get(&id(refused)).await == Some(version) {
            return None;
        }
        match newer(core, key, version).await {
            Ok(live) if live.connection.credentials_version != version => Some(live),
            Ok(_) => None,
            Err(error) => {
                record.say(
                    Level::Warn,
                    format!("no new credentials after a 401: {error}"),
                );
                None
            }
        }
    }

    /// Remembers that new credentials were refused, too.
    pub(crate) async fn remember(&self, refused: &Live) {
        let version = refused.connection.credentials_version;
        self.refused.insert(id(refused), version).await;
    }
}

fn id(live: &Live) -> (EnvironmentId, i64) {
    (live.connection.environment_id, live.connection.id)
}

async fn newer(
    core: &Core,
    key: &LiveKey,
    version: i64,
) -> Result<Arc<Live>, linkspan_shared::Error> {
    let stored = live::get(core, key.clone(), Freshness::Stored).await?;
    if stored.connection.credentials_version != version {
        return Ok(stored);
    }
    // Otherwise each call of a revoked grant would cost a token request, and
    // providers block clients that go on asking.
    if refresh::is_held_back(&stored) {
        return Ok(stored);
    }
    live::get(core, key.clone(), Freshness::Forced).await
}
