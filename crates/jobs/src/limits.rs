//! How many jobs of a group, or of a tenant, run at once.
//!
//! Who finds a job at the head of the queue whose group is full puts it aside
//! (`parked`), once, so that nobody passes it again; whoever frees a place brings
//! the first of them back.

use diesel::sql_query;
use diesel::sql_types::{Integer, Text};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::Error;

/// Lets at most `max_running` jobs with this group or tenant run at once; `None`
/// takes the limit away. Jobs that run already are not counted in a limit that
/// is new. Returns how many jobs became ready by it.
///
/// # Errors
/// When the database fails.
pub async fn set(
    conn: &mut Connection,
    key: &str,
    max_running: Option<u32>,
) -> Result<usize, Error> {
    let max = max_running.and_then(|max| i32::try_from(max).ok());
    let statement = match max_running {
        Some(_) => {
            "INSERT INTO jobs.limits (key, max_running) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET max_running = excluded.max_running"
        }
        // The row goes on counting, so that a limit that is set again knows what
        // runs.
        None => "UPDATE jobs.limits SET max_running = $2 WHERE key = $1",
    };
    sql_query(statement)
        .bind::<Text, _>(key)
        .bind::<Integer, _>(max.unwrap_or(i32::MAX))
        .execute(conn)
        .await?;
    unpark(conn).await
}

/// Where a job that was put aside comes back: before all whose turn has not come,
/// and not among turns that are over, which few look at.
const NEXT_TURN: &str = "state = 'ready', parked_on = NULL, virtual_time = greatest(j.virtual_time, \
    (SELECT c.virtual_time + 1 FROM jobs.clocks c WHERE c.priority = j.priority))";

/// Brings back as many parked jobs as there are places. Idempotent.
const UNPARKED: &str = "id = ANY(ARRAY( \
    SELECT p.id FROM jobs.limits l CROSS JOIN LATERAL ( \
        SELECT id FROM jobs.jobs WHERE state = 'parked' AND parked_on = l.key \
        ORDER BY priority, virtual_time LIMIT greatest(0, l.max_running - l.running) \
        FOR UPDATE SKIP LOCKED) p \
    WHERE l.running < l.max_running))";

/// Brings back parked jobs for which there is a place now; returns how many.
///
/// # Errors
/// When the database fails.
pub async fn unpark(conn: &mut Connection) -> Result<usize, Error> {
    let statement = format!("UPDATE jobs.jobs j SET {NEXT_TURN} WHERE {UNPARKED}");
    Ok(sql_query(statement).execute(conn).await?)
}
