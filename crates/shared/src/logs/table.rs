//! The table of operations, and its daily partitions.

use chrono::{Days, NaiveDate, NaiveTime};
use diesel::prelude::*;
use diesel::sql_types::Text;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};

use super::counted;
use crate::db::{Connection, Error};

diesel::table! {
    logs.operations (environment_id, created_at, id) {
        environment_id -> Uuid,
        created_at -> Timestamptz,
        id -> Uuid,
        kind -> Text,
        action -> Text,
        status -> Text,
        integration -> Nullable<Text>,
        provider -> Nullable<Text>,
        connection_id -> Nullable<Text>,
        duration_ms -> Int4,
        http_status -> Nullable<Int2>,
        error_code -> Nullable<Text>,
        messages -> Jsonb,
    }
}

/// What a partition's name starts with; its day follows, as in `20261231`.
const PREFIX: &str = "operations_";
const DAY: &str = "%Y%m%d";

/// The days whose partition is known to exist, and how long they are kept.
pub(super) struct Partitions {
    known: Vec<NaiveDate>,
    retention: Days,
}

impl Partitions {
    pub(super) fn new(retention_days: u32) -> Self {
        Self {
            known: Vec::new(),
            retention: Days::new(u64::from(retention_days)),
        }
    }

    /// Whether there is nothing to make for a day.
    pub(super) fn knows(&self, day: NaiveDate) -> bool {
        self.known.contains(&day)
    }

    /// Makes the partition of a day, and with a new one drops those that are
    /// too old by then.
    pub(super) async fn ensure(
        &mut self,
        conn: &mut Connection,
        day: NaiveDate,
    ) -> Result<(), Error> {
        if self.knows(day) {
            return Ok(());
        }
        let next = day.checked_add_days(Days::new(1)).unwrap_or(day);
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS logs.{PREFIX}{name} PARTITION OF logs.operations \
             FOR VALUES FROM ('{day} 00:00+00') TO ('{next} 00:00+00')",
            name = day.format(DAY),
        );
        // Two writers may both find it missing; the loser's error means that
        // it exists now, and anything else shows again at the second try.
        if conn.batch_execute(&sql).await.is_err() {
            conn.batch_execute(&sql).await?;
        }
        self.known.push(day);
        if let Some(first_kept) = day.checked_sub_days(self.retention) {
            self.known.retain(|known| *known >= first_kept);
            if let Err(error) = drop_before(conn, first_kept).await {
                // The next day's writer tries again.
                tracing::warn!(%error, "old operation logs could not be dropped");
            }
            let first_kept = first_kept.and_time(NaiveTime::MIN).and_utc();
            if let Err(error) = counted::drop_before(conn, first_kept).await {
                tracing::warn!(%error, "old counts of operations could not be dropped");
            }
        }
        Ok(())
    }
}

/// Drops the partitions of the days before one.
async fn drop_before(conn: &mut Connection, first_kept: NaiveDate) -> Result<(), Error> {
    #[derive(QueryableByName)]
    struct Partition {
        #[diesel(sql_type = Text)]
        name: String,
    }
    let partitions: Vec<Partition> = diesel::sql_query(
        "SELECT c.relname::text AS name FROM pg_inherits i \
         JOIN pg_class c ON c.oid = i.inhrelid \
         WHERE i.inhparent = 'logs.operations'::regclass",
    )
    .load(conn)
    .await?;
    for Partition { name } in partitions {
        if day_of(&name).is_some_and(|day| day < first_kept) {
            // Dropping waits for everybody who reads the log, and everybody
            // who comes later waits for it: not for long.
            conn.batch_execute(&format!(
                "SET LOCAL lock_timeout = '2s'; DROP TABLE IF EXISTS logs.{name}"
            ))
            .await?;
            tracing::info!(partition = %name, "old operation logs dropped");
        }
    }
    Ok(())
}

/// The day of a partition that [`Partitions::ensure`] named.
fn day_of(name: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(name.strip_prefix(PREFIX)?, DAY).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_known_by_its_name_alone() {
        assert_eq!(
            day_of("operations_20261123"),
            NaiveDate::from_ymd_opt(2026, 11, 23)
        );
        for other in [
            "operations",
            "operations_",
            "operations_default",
            "operations_20261399",
        ] {
            assert_eq!(day_of(other), None, "{other}");
        }
    }
}
