//! Tracking deletes: what a full sync has not seen between a beginning and an
//! end is deleted.
//!
//! What was written since the beginning has a higher sequence, so that only
//! records that came unchanged are noted: an array of keys for each batch. At the
//! end one statement reads the stream and what was seen, once, and leaves the keys
//! of the rest in the same table, in pieces under the negative of the tracking's
//! place: each piece goes away with the records that it names, and whatever ends
//! or replaces a tracking clears them away with what was seen.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use linkspan_shared::breakpoint::reach;
use linkspan_shared::db::Connection;
use uuid::Uuid;

use crate::stream::Stream;
use crate::{Cursor, Error, Store, StreamName};

/// Records that are deleted in one batch.
const PIECE: i64 = 1_000;

/// A tracking under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracking {
    /// Where it began.
    pub from: Cursor,
    /// Whether it was under way already, as after a run that was cut off.
    pub is_continued: bool,
}

/// Whose a stream is, and whether deletes are tracked in it.
#[derive(QueryableByName)]
pub(crate) struct Row {
    #[diesel(sql_type = BigInt)]
    pub(crate) fence: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    tracked_from: Option<i64>,
}

#[derive(QueryableByName)]
struct Began {
    #[diesel(sql_type = BigInt)]
    tracked_from: i64,
}

/// Records that nobody saw, to be deleted at once.
#[derive(QueryableByName)]
struct Piece {
    #[diesel(sql_type = SqlUuid)]
    batch: Uuid,
    #[diesel(sql_type = Array<SqlUuid>)]
    keys: Vec<Uuid>,
}

/// Reads the stream once and what was seen once: a hash of one finds the other.
const UNSEEN: &str = "\
WITH old AS ( \
    DELETE FROM records.seen WHERE environment_id = $1 AND stream = $2 AND tracked_from = -$3 \
) \
INSERT INTO records.seen (environment_id, stream, tracked_from, batch, keys) \
SELECT $1, $2, -$3, gen_random_uuid(), array_agg(u.key) FROM ( \
    SELECT r.key, (row_number() OVER () - 1) / $4 AS piece FROM records.records r \
    WHERE r.environment_id = $1 AND r.stream = $2 AND r.sequence <= $3 AND NOT r.deleted \
        AND NOT EXISTS (SELECT FROM ( \
            SELECT unnest(keys) AS key FROM records.seen \
            WHERE environment_id = $1 AND stream = $2 AND tracked_from = $3 \
        ) k WHERE k.key = r.key) \
) u GROUP BY u.piece";

impl Store {
    /// Begins to track deletes (`trackDeletesStart`). A tracking that is under
    /// way goes on: a run that takes over where another was cut off does not see again
    /// what that one saw.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Dropped`], and when the database fails.
    pub async fn track_begin(
        &self,
        name: &StreamName,
        fence: Option<i64>,
    ) -> Result<Tracking, Error> {
        loop {
            let stream = self.stream_for(name, fence).await?;
            let mut conn = self.db().conn().await?;
            let Some(row) = look(&mut conn, &stream).await? else {
                self.forget(name).await;
                continue;
            };
            check(&stream, fence, row.fence)?;
            if let Some(from) = row.tracked_from {
                return Ok(Tracking {
                    from: Cursor(from),
                    is_continued: true,
                });
            }
            if let Some(from) = begin(&mut conn, &stream, fence).await? {
                return Ok(Tracking {
                    from,
                    is_continued: false,
                });
            }
            // A later run has come between: the next look says so.
        }
    }

    /// Ends a tracking that is under way, if there is one, and deletes nothing: what
    /// it has seen counts no more. A writer whose fence is too low changes nothing.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn track_abandon(&self, name: &StreamName, fence: i64) -> Result<(), Error> {
        let Some(stream) = self.stream(name).await? else {
            return Ok(());
        };
        diesel::sql_query(
            "WITH s AS (UPDATE records.streams SET tracked_from = NULL \
                 WHERE environment_id = $1 AND id = $2 AND tracked_from IS NOT NULL \
                 AND fence <= $3 RETURNING id) \
             DELETE FROM records.seen USING s WHERE environment_id = $1 AND stream = s.id",
        )
        .bind::<SqlUuid, _>(stream.name.environment)
        .bind::<BigInt, _>(stream.id)
        .bind::<BigInt, _>(fence)
        .execute(&mut *self.db().conn().await?)
        .await?;
        Ok(())
    }

    /// Deletes what was neither saved nor found unchanged since the tracking
    /// began, and ends it (`trackDeletesEnd`); how many records. Zero when none
    /// was under way. Cut off, it may be called again.
    ///
    /// # Errors
    /// As [`Store::track_begin`].
    pub async fn track_end(&self, name: &StreamName, fence: Option<i64>) -> Result<usize, Error> {
        let Some(stream) = self.stream(name).await? else {
            return Ok(0);
        };
        let row = look(&mut *self.db().conn().await?, &stream).await?;
        let Some(row) = row else {
            return Ok(0);
        };
        check(&stream, fence, row.fence)?;
        let Some(from) = row.tracked_from else {
            return Ok(0);
        };
        if !self.find_unseen(&stream, from, fence).await? {
            // A later run has come between, or another ended this tracking.
            let row = look(&mut *self.db().conn().await?, &stream).await?;
            return match row {
                Some(row) => check(&stream, fence, row.fence).map(|()| 0),
                None => Ok(0),
            };
        }
        let mut deleted = 0;
        while let Some(piece) = self.unseen(&stream, from).await? {
            deleted += self
                .delete_keys(&stream, piece.keys, fence, Cursor(from))
                .await?;
            self.over(&stream, from, piece.batch).await?;
            reach("records.piece");
        }
        self.track_over(&stream, from).await?;
        Ok(deleted)
    }

    /// Finds the records that nobody saw since `from`, in one pass however many
    /// there are, and notes them in pieces; those that were noted before a run was
    /// cut off may have been seen since, and are forgotten. False when the tracking
    /// is over, or another's.
    async fn find_unseen(
        &self,
        stream: &Stream,
        from: i64,
        fence: Option<i64>,
    ) -> Result<bool, Error> {
        let mut conn = self.db().conn().await?;
        conn.transaction(async |conn| {
            let is_ours = diesel::sql_query(
                "UPDATE records.streams SET fence = greatest(fence, $4) \
                 WHERE environment_id = $1 AND id = $2 AND tracked_from = $3 \
                 AND ($4 IS NULL OR fence <= $4)",
            )
            .bind::<SqlUuid, _>(stream.name.environment)
            .bind::<BigInt, _>(stream.id)
            .bind::<BigInt, _>(from)
            .bind::<Nullable<BigInt>, _>(fence)
            .execute(conn)
            .await?;
            if is_ours == 0 {
                return Ok(false);
            }
            // With old statistics Postgres would go over all that was seen for
            // each record.
            conn.batch_execute("SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off")
                .await?;
            diesel::sql_query(UNSEEN)
                .bind::<SqlUuid, _>(stream.name.environment)
                .bind::<BigInt, _>(stream.id)
                .bind::<BigInt, _>(from)
                .bind::<BigInt, _>(PIECE)
                .execute(conn)
                .await?;
            Ok(true)
        })
        .await
    }

    /// A piece of what nobody saw, if there is one left.
    async fn unseen(&self, stream: &Stream, from: i64) -> Result<Option<Piece>, Error> {
        Ok(diesel::sql_query(
            "SELECT batch, keys FROM records.seen \
             WHERE environment_id = $1 AND stream = $2 AND tracked_from = -$3 LIMIT 1",
        )
        .bind::<SqlUuid, _>(stream.name.environment)
        .bind::<BigInt, _>(stream.id)
        .bind::<BigInt, _>(from)
        .get_result(&mut *self.db().conn().await?)
        .await
        .optional()?)
    }

    async fn over(&self, stream: &Stream, from: i64, piece: Uuid) -> Result<(), Error> {
        diesel::sql_query(
            "DELETE FROM records.seen \
             WHERE environment_id = $1 AND stream = $2 AND tracked_from = -$3 AND batch = $4",
        )
        .bind::<SqlUuid, _>(stream.name.environment)
        .bind::<BigInt, _>(stream.id)
        .bind::<BigInt, _>(from)
        .bind::<SqlUuid, _>(piece)
        .execute(&mut *self.db().conn().await?)
        .await?;
        Ok(())
    }

    async fn track_over(&self, stream: &Stream, from: i64) -> Result<(), Error> {
        let mut conn = self.db().conn().await?;
        diesel::sql_query(
            "WITH s AS (UPDATE records.streams SET tracked_from = NULL \
                 WHERE environment_id = $1 AND id = $2 AND tracked_from = $3 RETURNING id) \
             DELETE FROM records.seen USING s \
             WHERE environment_id = $1 AND stream = s.id AND tracked_from <= $3",
        )
        .bind::<SqlUuid, _>(stream.name.environment)
        .bind::<BigInt, _>(stream.id)
        .bind::<BigInt, _>(from)
        .execute(&mut conn)
        .await?;
        Ok(())
    }
}

/// The stream's row, if it is still there.
pub(crate) async fn look(conn: &mut Connection, stream: &Stream) -> Result<Option<Row>, Error> {
    Ok(diesel::sql_query(
        "SELECT fence, tracked_from FROM records.streams WHERE environment_id = $1 AND id = $2",
    )
    .bind::<SqlUuid, _>(stream.name.environment)
    .bind::<BigInt, _>(stream.id)
    .get_result(conn)
    .await
    .optional()?)
}

/// Refuses a run that a later one has replaced.
pub(crate) fn check(stream: &Stream, fence: Option<i64>, current: i64) -> Result<(), Error> {
    match fence {
        Some(fence) if fence < current => Err(Error::Stale {
            model: stream.name.model.clone(),
            fence,
            current,
        }),
        _ => Ok(()),
    }
}

/// Its own place in the sequence, so that no two trackings share what was seen.
async fn begin(
    conn: &mut Connection,
    stream: &Stream,
    fence: Option<i64>,
) -> Result<Option<Cursor>, Error> {
    let began: Option<Began> = diesel::sql_query(
        "WITH s AS (UPDATE records.streams SET sequence = sequence + 1, \
             tracked_from = sequence + 1, fence = greatest(fence, $3), written_at = now() \
             WHERE environment_id = $1 AND id = $2 AND ($3 IS NULL OR fence <= $3) \
             RETURNING id, tracked_from), \
         old AS (DELETE FROM records.seen USING s \
             WHERE environment_id = $1 AND stream = s.id AND seen.tracked_from < s.tracked_from) \
         SELECT tracked_from FROM s",
    )
    .bind::<SqlUuid, _>(stream.name.environment)
    .bind::<BigInt, _>(stream.id)
    .bind::<Nullable<BigInt>, _>(fence)
    .get_result(conn)
    .await
    .optional()?;
    Ok(began.map(|row| Cursor(row.tracked_from)))
}
