//! Jobs of kinds that the worker which claimed them does not know: during an
//! upgrade old and new workers share the table, and after a step back nobody may
//! know a kind.
//!
//! Such a job is put off, for a second at first and longer each time, and keeps its
//! attempts. A worker leaves alone what it has met and another that lives knows, and
//! one that starts makes due what waits for it. After a day in which nobody knew it
//! the job is dead, and says what to do.

use std::collections::HashMap;
use std::time::Duration;

use diesel::sql_types::{Array, BigInt, Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::{Error, Outcome, Settlement};

/// So long a job waits for a worker that knows its kind.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(86_400);

/// The waits add up: each is up to as long as all before it, within bounds. A kind
/// that somebody knows is his in a moment. Rows are locked by id, as when they are
/// settled.
const NOTE: &str = "WITH held AS MATERIALIZED ( \
        SELECT j.id FROM unnest($1, $2) AS s (id, fence) JOIN jobs.jobs j ON j.id = s.id \
        WHERE j.fence = s.fence AND j.worker IS NOT NULL ORDER BY j.id FOR UPDATE OF j), \
    noted AS ( \
        UPDATE jobs.jobs j SET unknown_since = coalesce(j.unknown_since, now()) \
        FROM held h WHERE j.id = h.id RETURNING j.id, j.kind, \
            (extract(epoch FROM now() - j.unknown_since) * 1000)::bigint AS unknown_ms, \
            EXISTS (SELECT 1 FROM jobs.workers w \
                WHERE w.expires_at > now() AND j.kind = ANY(w.kinds)) AS is_known) \
    SELECT id, kind, unknown_ms, is_known, ((0.5 + random() / 2) * CASE WHEN is_known THEN 1000 \
        ELSE least(600000, greatest(1000, unknown_ms)) END)::bigint AS wait_ms FROM noted";

#[derive(QueryableByName)]
struct Noted {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    unknown_ms: i64,
    #[diesel(sql_type = Bool)]
    is_known: bool,
    #[diesel(sql_type = BigInt)]
    wait_ms: i64,
}

impl Noted {
    fn outcome(&self) -> Outcome {
        let Self { id, kind, .. } = self;
        let given_up = i64::try_from(GIVEN_UP_AFTER.as_millis()).unwrap_or(i64::MAX);
        if self.unknown_ms >= given_up && !self.is_known {
            let error = format!(
                "for a day no worker knew the kind {kind}: start workers of the version that \
                 made the job and then `linkspan jobs retry {id}`, or `linkspan jobs discard {id}`"
            );
            return Outcome::Dead { error };
        }
        Outcome::Postponed {
            error: format!("a worker of another version does not know the kind {kind}"),
            after: Duration::from_millis(u64::try_from(self.wait_ms).unwrap_or(0)),
        }
    }
}

/// Says of those that are [`Outcome::Unknown`] whether they are put off, and for how
/// long, or dead. Repeating it is harmless.
pub(crate) async fn resolve(
    conn: &mut Connection,
    all: &[Settlement],
) -> Result<Vec<Settlement>, Error> {
    let is_unknown = |one: &&Settlement| matches!(one.outcome, Outcome::Unknown);
    let unknown = || all.iter().filter(is_unknown);
    let noted: Vec<Noted> = sql_query(NOTE)
        .bind::<Array<BigInt>, _>(unknown().map(|one| one.id).collect::<Vec<_>>())
        .bind::<Array<BigInt>, _>(unknown().map(|one| one.fence).collect::<Vec<_>>())
        .load(conn)
        .await?;
    let outcomes: HashMap<i64, Outcome> = noted.iter().map(|one| (one.id, one.outcome())).collect();
    let resolved = |one: &Settlement| {
        let mut one = one.clone();
        if matches!(one.outcome, Outcome::Unknown) {
            // Who is not there is another's by now, and is refused.
            one.outcome = outcomes.get(&one.id).cloned().unwrap_or(Outcome::Released);
        }
        one
    };
    Ok(all.iter().map(resolved).collect())
}

#[derive(QueryableByName)]
struct Kind {
    #[diesel(sql_type = Text)]
    kind: String,
}

/// Those of the kinds that a worker which lives knows.
///
/// # Errors
/// When the database fails.
pub async fn known_to_others(
    conn: &mut Connection,
    kinds: &[String],
) -> Result<Vec<String>, Error> {
    let known: Vec<Kind> = sql_query(
        "SELECT k.kind FROM unnest($1) AS k (kind) WHERE EXISTS ( \
            SELECT 1 FROM jobs.workers w WHERE w.expires_at > now() AND k.kind = ANY(w.kinds))",
    )
    .bind::<Array<Text>, _>(kinds)
    .load(conn)
    .await?;
    Ok(known.into_iter().map(|row| row.kind).collect())
}

/// Makes due what was put off since nobody knew its kind: a worker has started that
/// does. Returns how many jobs.
///
/// # Errors
/// When the database fails.
pub async fn make_due(conn: &mut Connection, kinds: &[&str]) -> Result<usize, Error> {
    Ok(sql_query(
        "UPDATE jobs.jobs SET run_at = now() WHERE id = ANY(ARRAY( \
            SELECT id FROM jobs.jobs WHERE unknown_since IS NOT NULL AND state = 'delayed' \
                AND kind = ANY($1) AND run_at > now() FOR UPDATE SKIP LOCKED))",
    )
    .bind::<Array<Text>, _>(kinds)
    .execute(conn)
    .await?)
}
