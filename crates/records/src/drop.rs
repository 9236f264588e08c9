//! Deleting streams: at once out of sight, their records in pieces afterwards.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use linkspan_shared::Core;
use linkspan_shared::breakpoint::reach;
use linkspan_shared::db::schema::connections;
use linkspan_shared::tenancy::EnvironmentId;
use uuid::Uuid;

use crate::{Error, Store, StreamName};

/// Records that are deleted in one transaction.
const PIECE: i64 = 5_000;
/// Connections that are looked for at once.
const PAGE: i64 = 1_000;

/// Moves the streams of a condition to those whose records are to be deleted.
macro_rules! drop_where {
    ($condition:literal) => {
        concat!(
            "WITH gone AS (DELETE FROM records.streams WHERE ",
            $condition,
            " RETURNING environment_id, id) \
             INSERT INTO records.dropped (environment_id, stream) \
             SELECT environment_id, id FROM gone"
        )
    };
}

#[derive(QueryableByName)]
struct Dropped {
    #[diesel(sql_type = SqlUuid)]
    environment_id: Uuid,
    #[diesel(sql_type = BigInt)]
    stream: i64,
}

#[derive(QueryableByName, Clone, Copy)]
struct Owner {
    #[diesel(sql_type = SqlUuid)]
    environment_id: Uuid,
    #[diesel(sql_type = BigInt)]
    connection: i64,
}

impl Store {
    /// Deletes a stream. Nobody sees it any more when this returns; what it held
    /// is deleted by [`Store::sweep`]. A writer without a fence that still saves to it
    /// makes a new one; a run is refused.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drop_stream(&self, name: &StreamName) -> Result<(), Error> {
        diesel::sql_query(drop_where!(
            "environment_id = $1 AND connection = $2 AND model = $3 AND variant = $4"
        ))
        .bind::<SqlUuid, _>(name.environment)
        .bind::<BigInt, _>(name.connection)
        .bind::<Text, _>(&name.model)
        .bind::<Text, _>(&name.variant)
        .execute(&mut *self.db().conn().await?)
        .await?;
        self.forget(name).await;
        Ok(())
    }

    /// Deletes a stream as [`Store::drop_stream`] does, unless a later run than the
    /// one of this fence has taken it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drop_taken(&self, name: &StreamName, fence: i64) -> Result<(), Error> {
        diesel::sql_query(drop_where!(
            "environment_id = $1 AND connection = $2 AND model = $3 AND variant = $4 \
             AND fence <= $5"
        ))
        .bind::<SqlUuid, _>(name.environment)
        .bind::<BigInt, _>(name.connection)
        .bind::<Text, _>(&name.model)
        .bind::<Text, _>(&name.variant)
        .bind::<BigInt, _>(fence)
        .execute(&mut *self.db().conn().await?)
        .await?;
        self.forget(name).await;
        Ok(())
    }

    /// Deletes all streams of a connection, as [`Store::drop_stream`] does; how
    /// many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drop_connection(
        &self,
        environment: EnvironmentId,
        connection: i64,
    ) -> Result<usize, Error> {
        Ok(
            diesel::sql_query(drop_where!("environment_id = $1 AND connection = $2"))
                .bind::<SqlUuid, _>(environment)
                .bind::<BigInt, _>(connection)
                .execute(&mut *self.db().conn().await?)
                .await?,
        )
    }

    /// Deletes all streams of an environment, as [`Store::drop_stream`] does;
    /// how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn drop_environment(&self, environment: EnvironmentId) -> Result<usize, Error> {
        Ok(diesel::sql_query(drop_where!("environment_id = $1"))
            .bind::<SqlUuid, _>(environment)
            .execute(&mut *self.db().conn().await?)
            .await?)
    }

    /// Deletes at most `limit` streams to which nothing was saved since `before`,
    /// as [`Store::drop_stream`] does; how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete_due(&self, before: DateTime<Utc>, limit: u32) -> Result<usize, Error> {
        Ok(diesel::sql_query(drop_where!(
            "(environment_id, id) IN (SELECT environment_id, id FROM records.streams \
             WHERE written_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED)"
        ))
        .bind::<Timestamptz, _>(before)
        .bind::<BigInt, _>(i64::from(limit))
        .execute(&mut *self.db().conn().await?)
        .await?)
    }

    /// Deletes the records of streams that are gone, about `limit` of them; how
    /// many it deleted. None means that none are left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sweep(&self, limit: u32) -> Result<usize, Error> {
        let mut deleted = 0;
        while deleted < usize::try_from(limit).unwrap_or(usize::MAX) {
            let mut conn = self.db().conn().await?;
            let next: Option<Dropped> = diesel::sql_query(
                "SELECT environment_id, stream FROM records.dropped ORDER BY dropped_at LIMIT 1",
            )
            .get_result(&mut conn)
            .await
            .optional()?;
            let Some(next) = next else {
                break;
            };
            let piece = delete_piece(&mut conn, &next).await?;
            deleted += piece;
            reach("records.piece");
            if piece == 0 {
                end(&mut conn, &next).await?;
            }
        }
        Ok(deleted)
    }

    /// Looks for what is orphaned, and sweeps. Any number of processes may.
    ///
    /// # Errors
    /// When a database fails.
    pub async fn clean(&self, core: &Core) -> Result<(), Error> {
        self.drop_orphans(core).await?;
        self.sweep(u32::MAX).await?;
        Ok(())
    }

    /// Deletes the streams of connections and environments that are gone: what a
    /// process left that was killed between the two databases. How many.
    ///
    /// # Errors
    /// When a database fails.
    pub async fn drop_orphans(&self, core: &Core) -> Result<usize, Error> {
        let mut after = Owner {
            environment_id: Uuid::nil(),
            connection: i64::MIN,
        };
        let mut dropped = 0;
        loop {
            let owners = self.owners(after).await?;
            let Some(last) = owners.last() else {
                return Ok(dropped);
            };
            after = *last;
            let ids: Vec<i64> = owners.iter().map(|owner| owner.connection).collect();
            let there: Vec<(EnvironmentId, i64)> = connections::table
                .filter(connections::id.eq_any(ids))
                .filter(
                    connections::environment_id
                        .eq_any(owners.iter().map(|owner| owner.environment_id)),
                )
                .select((connections::environment_id, connections::id))
                .load(&mut *core.db.conn().await?)
                .await?;
            for owner in owners {
                let environment = EnvironmentId(owner.environment_id);
                if !there.contains(&(environment, owner.connection)) {
                    dropped += self.drop_connection(environment, owner.connection).await?;
                }
            }
        }
    }

    /// The next connections that have streams.
    async fn owners(&self, after: Owner) -> Result<Vec<Owner>, Error> {
        Ok(diesel::sql_query(
            "SELECT DISTINCT environment_id, connection FROM records.streams \
             WHERE (environment_id, connection) > ($1, $2) \
             ORDER BY environment_id, connection LIMIT $3",
        )
        .bind::<SqlUuid, _>(after.environment_id)
        .bind::<BigInt, _>(after.connection)
        .bind::<BigInt, _>(PAGE)
        .load(&mut *self.db().conn().await?)
        .await?)
    }
}

async fn delete_piece(
    conn: &mut linkspan_shared::db::Connection,
    dropped: &Dropped,
) -> Result<usize, Error> {
    Ok(diesel::sql_query(
        "DELETE FROM records.records WHERE ctid = ANY(ARRAY( \
             SELECT ctid FROM records.records \
             WHERE environment_id = $1 AND stream = $2 LIMIT $3))",
    )
    .bind::<SqlUuid, _>(dropped.environment_id)
    .bind::<BigInt, _>(dropped.stream)
    .bind::<BigInt, _>(PIECE)
    .execute(conn)
    .await?)
}

async fn end(conn: &mut linkspan_shared::db::Connection, dropped: &Dropped) -> Result<(), Error> {
    diesel::sql_query(
        "WITH seen AS (DELETE FROM records.seen WHERE environment_id = $1 AND stream = $2) \
         DELETE FROM records.dropped WHERE environment_id = $1 AND stream = $2",
    )
    .bind::<SqlUuid, _>(dropped.environment_id)
    .bind::<BigInt, _>(dropped.stream)
    .execute(conn)
    .await?;
    Ok(())
}
