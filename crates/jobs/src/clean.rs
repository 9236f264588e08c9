//! Partitions of finished jobs, and what is forgotten.

use chrono::{Days, NaiveDate};
use diesel::sql_types::{Date, Integer, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use linkspan_db::Connection;

use crate::Error;

/// Partitions are made for so many days to come: a week without a worker that
/// cleans up puts finished jobs into the default partition, and loses nothing.
const DAYS_AHEAD: u64 = 7;
const PREFIX: &str = "finished_";
const DAY: &str = "%Y%m%d";

#[derive(QueryableByName)]
struct Today {
    #[diesel(sql_type = Date)]
    today: NaiveDate,
}

#[derive(QueryableByName)]
struct Partition {
    #[diesel(sql_type = Text)]
    name: String,
}

/// Makes the partitions of the next days, and drops finished jobs that are more
/// than `finished_days` days old, dead ones that are more than `dead_days`, and
/// workers that have been gone for an hour.
///
/// # Errors
/// When the database fails.
pub async fn clean(conn: &mut Connection, finished_days: u32, dead_days: u32) -> Result<(), Error> {
    let Today { today } = sql_query("SELECT (now() AT TIME ZONE 'UTC')::date AS today")
        .get_result(conn)
        .await?;
    make(conn, today).await?;
    let first_kept = today
        .checked_sub_days(Days::new(finished_days.into()))
        .unwrap_or(NaiveDate::MIN);
    for Partition { name } in partitions(conn).await? {
        if day_of(&name).is_some_and(|day| day < first_kept) {
            // Dropping waits for everybody who finishes jobs, and they for it.
            conn.batch_execute(&format!(
                "SET LOCAL lock_timeout = '2s'; DROP TABLE IF EXISTS jobs.{name}"
            ))
            .await?;
            tracing::info!(partition = %name, "old finished jobs dropped");
        }
    }
    sql_query("DELETE FROM jobs.workers WHERE expires_at < now() - interval '1 hour'")
        .execute(conn)
        .await?;
    sql_query(
        "DELETE FROM jobs.finished_default WHERE finished_at < now() - make_interval(days => $1)",
    )
    .bind::<Integer, _>(days(finished_days))
    .execute(conn)
    .await?;
    sql_query(
        "DELETE FROM jobs.jobs WHERE state = 'dead' \
         AND died_at < now() - make_interval(days => $1)",
    )
    .bind::<Integer, _>(days(dead_days))
    .execute(conn)
    .await?;
    Ok(())
}

fn days(days: u32) -> i32 {
    i32::try_from(days).unwrap_or(i32::MAX)
}

async fn partitions(conn: &mut Connection) -> Result<Vec<Partition>, Error> {
    Ok(sql_query(
        "SELECT c.relname::text AS name FROM pg_inherits i \
         JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'jobs.finished'::regclass",
    )
    .load(conn)
    .await?)
}

async fn make(conn: &mut Connection, today: NaiveDate) -> Result<(), Error> {
    let known: Vec<String> = partitions(conn)
        .await?
        .into_iter()
        .map(|p| p.name)
        .collect();
    for ahead in 0..=DAYS_AHEAD {
        let Some((day, next)) = today
            .checked_add_days(Days::new(ahead))
            .and_then(|day| Some((day, day.checked_add_days(Days::new(1))?)))
        else {
            continue;
        };
        let name = format!("{PREFIX}{}", day.format(DAY));
        if known.contains(&name) {
            continue;
        }
        // A day that has rows in the default partition already stays there.
        let made = conn
            .transaction(async |conn: &mut Connection| {
                conn.batch_execute(&format!(
                    "SET LOCAL lock_timeout = '2s'; \
                     CREATE TABLE IF NOT EXISTS jobs.{name} PARTITION OF jobs.finished \
                     FOR VALUES FROM ('{day} 00:00:00+00') TO ('{next} 00:00:00+00')"
                ))
                .await
            })
            .await;
        if let Err(error) = made {
            tracing::debug!(partition = %name, %error, "its jobs stay in the default partition");
        }
    }
    Ok(())
}

/// The day of a partition that [`make`] named.
fn day_of(name: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(name.strip_prefix(PREFIX)?, DAY).ok()
}
