//! How many jobs of a group, or of a tenant, run at once.
//!
//! Who finds a job at the head of the queue whose group is full puts it aside
//! (`parked`), once, so that nobody passes it again; whoever frees a place brings
//! the first of them back.

use std::sync::atomic::{AtomicBool, Ordering};

use diesel::sql_query;
use diesel::sql_types::{Array, Integer, Nullable, Text};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::Error;

/// What a process knows of limits: that there are none, as far as it has seen, or that
/// there are some. Claims and settlements are spared half of their work while nobody
/// has one, and find out by themselves when somebody gets the first. Limits are never
/// deleted, so that it is known for good.
#[derive(Debug, Default)]
pub struct Known(AtomicBool);

impl Known {
    pub(crate) fn is_limited(&self) -> bool {
        AtomicBool::load(&self.0, Ordering::Relaxed)
    }

    pub(crate) fn note(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

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
    unpark_of(conn, &[key.to_owned()]).await
}

/// Brings back as many parked jobs as there are places, less those that came back
/// and were not claimed yet, and no more than a thousand of each limit. Each call may
/// be repeated.
///
/// Where a job that was put aside comes back: before all whose turn has not come, one
/// turn after the other as if it were new, and not among turns that are over, which
/// few look at.
const UNPARK: &str = "WITH place AS MATERIALIZED ( \
        SELECT l.key, least(1000, l.max_running - l.running) - (SELECT count(*) FROM ( \
            SELECT 1 FROM jobs.jobs r WHERE r.state = 'ready' AND r.parked_on = l.key \
            LIMIT 1000) AS back) AS free \
        FROM jobs.limits l WHERE l.running < l.max_running AND ($1 IS NULL OR l.key = ANY($1))), \
    back AS MATERIALIZED ( \
        SELECT p.* FROM place l CROSS JOIN LATERAL ( \
            SELECT id, group_key, priority, virtual_time FROM jobs.jobs \
            WHERE state = 'parked' AND parked_on = l.key \
            ORDER BY priority, virtual_time LIMIT greatest(0, l.free) \
            FOR UPDATE SKIP LOCKED) p), \
    turn AS ( \
        SELECT b.id, greatest(b.virtual_time, c.virtual_time + row_number() OVER ( \
            PARTITION BY b.group_key, b.priority ORDER BY b.virtual_time, b.id)) AS virtual_time \
        FROM back b JOIN jobs.clocks c ON c.priority = b.priority) \
    UPDATE jobs.jobs j SET state = 'ready', virtual_time = t.virtual_time \
    FROM turn t WHERE j.id = t.id";

/// Brings back parked jobs for which there is a place now; returns how many.
///
/// # Errors
/// When the database fails.
pub async fn unpark(conn: &mut Connection) -> Result<usize, Error> {
    back(conn, None).await
}

/// The same for the limits of these keys alone: there may be one of each environment,
/// and whoever frees a place knows where.
///
/// # Errors
/// When the database fails.
pub(crate) async fn unpark_of(conn: &mut Connection, keys: &[String]) -> Result<usize, Error> {
    back(conn, Some(keys)).await
}

async fn back(conn: &mut Connection, keys: Option<&[String]>) -> Result<usize, Error> {
    Ok(sql_query(UNPARK)
        .bind::<Nullable<Array<Text>>, _>(keys)
        .execute(conn)
        .await?)
}
