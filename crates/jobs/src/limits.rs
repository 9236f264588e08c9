//! How many jobs of a group, or of a tenant, run at once.
//!
//! Who finds a job at the head of the queue whose group is full puts it aside
//! (`parked`), once, so that nobody passes it again; whoever frees a place brings
//! the first of them back.

use diesel::sql_query;
use diesel::sql_types::{Integer, Text};
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_db::Connection;

use crate::Error;

/// Lets at most `max_running` jobs with this group or tenant run at once; `None`
/// takes the limit away. Jobs that run already are not counted in a limit that
/// is new.
///
/// # Errors
/// When the database fails.
pub async fn set(conn: &mut Connection, key: &str, max_running: Option<u32>) -> Result<(), Error> {
    match max_running {
        Some(max) => {
            sql_query(
                "INSERT INTO jobs.limits (key, max_running) VALUES ($1, $2) \
                 ON CONFLICT (key) DO UPDATE SET max_running = excluded.max_running",
            )
            .bind::<Text, _>(key)
            .bind::<Integer, _>(i32::try_from(max).unwrap_or(i32::MAX))
            .execute(conn)
            .await?;
            unpark(conn).await?;
            Ok(())
        }
        None => {
            conn.transaction(async |conn: &mut Connection| {
                // Waits for those who are parking by it, so that the next
                // statement sees what they parked.
                sql_query("DELETE FROM jobs.limits WHERE key = $1")
                    .bind::<Text, _>(key)
                    .execute(&mut *conn)
                    .await?;
                sql_query(format!(
                    "UPDATE jobs.jobs j SET {NEXT_TURN} \
                     WHERE state = 'parked' AND parked_on = $1"
                ))
                .bind::<Text, _>(key)
                .execute(conn)
                .await
            })
            .await?;
            Ok(())
        }
    }
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
