//! Connections that nobody uses are looked after all the same, once a day: many
//! providers forget a refresh token that is not used for long, and a key that was
//! taken back should be known before it is needed (CONTRACT 2.8).

use std::sync::Arc;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use diesel_async::RunQueryDsl;
use futures_util::{StreamExt as _, stream};
use uuid::Uuid;

use super::live::{self, LiveKey};
use super::{recheck, refresh};
use crate::tenancy::EnvironmentId;
use crate::{Core, Error};

/// How many connections are claimed in one statement, and refreshed at once.
const PAGE: i64 = 100;
const AT_ONCE: usize = 8;

/// Claims what is due for an hour, in which nobody else looks at it: a claim
/// that its server does not live to fulfil is made again then, as is one whose
/// refresh fails. What was fetched during the last day is not due after all;
/// fetching does not write that time down here, since that would be a write
/// for each call.
const CLAIM: &str = "UPDATE connections c SET keep_alive_at = CASE \
        WHEN c.last_fetched_at > now() - interval '1 day' AND c.refresh_error_log_id IS NULL \
        THEN c.last_fetched_at + interval '1 day' \
        ELSE now() + interval '1 hour' END \
    FROM (SELECT environment_id, id FROM connections \
        WHERE keep_alive_at <= now() AND refresh_failure_days < 4 \
        ORDER BY keep_alive_at LIMIT $1 FOR UPDATE SKIP LOCKED) due, integrations i \
    WHERE c.environment_id = due.environment_id AND c.id = due.id \
        AND i.environment_id = c.environment_id AND i.id = c.integration_id \
    RETURNING c.environment_id, c.id, c.connection_id, i.unique_key, \
        (c.last_fetched_at <= now() - interval '1 day' OR c.refresh_error_log_id IS NOT NULL) \
            AS is_due";

const FULFIL: &str = "UPDATE connections SET keep_alive_at = now() + interval '1 day' \
    WHERE environment_id = $1 AND id = $2";

#[derive(QueryableByName)]
struct Claimed {
    #[diesel(sql_type = diesel::sql_types::Uuid)]
    environment_id: Uuid,
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    connection_id: String,
    #[diesel(sql_type = Text)]
    unique_key: String,
    #[diesel(sql_type = diesel::sql_types::Bool)]
    is_due: bool,
}

/// How many connections one look has claimed, and what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Their credentials were fetched for nobody, and refreshed if they were
    /// due, or verified.
    pub kept: usize,
    /// That failed; they are looked at again in an hour.
    pub failed: usize,
}

/// Fetches the credentials of every connection that nobody fetched for a day,
/// unless its refreshes are exhausted, and verifies those that are never
/// refreshed.
///
/// # Errors
/// When the database fails; connections that were claimed are looked at again
/// in an hour.
pub async fn keep_alive(core: &Core) -> Result<Report, Error> {
    let mut report = Report::default();
    loop {
        let claimed = claim(core).await?;
        let is_last = claimed.len() < usize::try_from(PAGE).unwrap_or(usize::MAX);
        let kept: Vec<bool> = stream::iter(claimed.into_iter().filter(|one| one.is_due))
            .map(|one| async move { keep(core, &one).await })
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        let failed = kept.iter().filter(|kept| !**kept).count();
        report.failed += failed;
        report.kept += kept.len() - failed;
        if is_last {
            return Ok(report);
        }
    }
}

async fn claim(core: &Core) -> Result<Vec<Claimed>, Error> {
    let mut conn = core.db.conn().await?;
    Ok(diesel::sql_query(CLAIM)
        .bind::<BigInt, _>(PAGE)
        .load(&mut conn)
        .await?)
}

async fn keep(core: &Core, one: &Claimed) -> bool {
    match looked_after(core, one).await {
        Ok(is_well) => is_well,
        Err(error) => {
            tracing::warn!(connection = one.id, %error, "an unused connection could not be looked after");
            false
        }
    }
}

async fn looked_after(core: &Core, one: &Claimed) -> Result<bool, Error> {
    let environment = EnvironmentId(one.environment_id);
    let key = LiveKey::new(environment, &one.unique_key, &one.connection_id);
    let live = live::stored(core, &key).await?;
    let is_well = if live.connection.credentials.is_static() {
        let is_well = recheck::run(core, &live).await?;
        live::forget(core, &key).await;
        is_well
    } else {
        let live = refresh::run(core, live, false).await?;
        // A token that still works hides a refresh that has failed.
        let is_kept = !refresh::is_due(&live);
        core.live.insert(key, Arc::new(live)).await;
        is_kept
    };
    if is_well {
        let mut conn = core.db.conn().await?;
        diesel::sql_query(FULFIL)
            .bind::<diesel::sql_types::Uuid, _>(one.environment_id)
            .bind::<BigInt, _>(one.id)
            .execute(&mut conn)
            .await?;
    }
    Ok(is_well)
}
