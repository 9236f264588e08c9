//! Tracking deletes: what a full sync has not seen between a beginning and an
//! end is deleted.
//!
//! What was written since the beginning has a higher sequence, so that only
//! records that came unchanged are noted: an array of keys for each batch.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use linkspan_shared::breakpoint::reach;
use linkspan_shared::db::Connection;
use uuid::Uuid;

use crate::stream::Stream;
use crate::{Cursor, Error, Store, StreamName};

/// Records that are deleted in one batch.
const PIECE: usize = 1_000;
/// Records that are looked for at once: each look reads the whole stream.
const LOOK: i64 = 50_000;

/// A tracking under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tracking {
    /// Where it began.
    pub from: Cursor,
    /// Whether it was under way already, as after a run that was cut off.
    pub is_continued: bool,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    fence: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    tracked_from: Option<i64>,
}

#[derive(QueryableByName)]
struct Began {
    #[diesel(sql_type = BigInt)]
    tracked_from: i64,
}

#[derive(QueryableByName)]
struct Key {
    #[diesel(sql_type = SqlUuid)]
    key: Uuid,
}

impl Store {
    /// Begins to track deletes (`trackDeletesStart`). A tracking that is under
    /// way goes on, unless `restart`: a run that takes over where another was cut
    /// off does not see again what that one saw.
    ///
    /// # Errors
    /// [`Error::Stale`], and when the database fails.
    pub async fn track_begin(
        &self,
        name: &StreamName,
        fence: Option<i64>,
        restart: bool,
    ) -> Result<Tracking, Error> {
        loop {
            let stream = self.stream_or_new(name).await?;
            let mut conn = self.db().conn().await?;
            let Some(row) = look(&mut conn, &stream).await? else {
                self.forget(name).await;
                continue;
            };
            check(&stream, fence, row.fence)?;
            if let Some(from) = row.tracked_from.filter(|_| !restart) {
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
        let mut deleted = 0;
        loop {
            let unseen = self.unseen(&stream, from).await?;
            let mut keys = unseen.into_iter().peekable();
            if keys.peek().is_none() {
                break;
            }
            let before = deleted;
            while keys.peek().is_some() {
                let piece: Vec<_> = keys.by_ref().take(PIECE).collect();
                deleted += self
                    .delete_keys(&stream, piece, fence, Cursor(from))
                    .await?;
                reach("records.piece");
            }
            if deleted == before {
                break;
            }
        }
        self.track_over(&stream, from).await?;
        Ok(deleted)
    }

    /// Keys of records that nobody saw since `from`.
    async fn unseen(&self, stream: &Stream, from: i64) -> Result<Vec<Uuid>, Error> {
        let mut conn = self.db().conn().await?;
        let keys: Vec<Key> = conn
            .transaction(async |conn| {
                // With old statistics Postgres would go over all that was seen for
                // each record.
                conn.batch_execute(
                    "SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off",
                )
                .await?;
                diesel::sql_query(
                    "SELECT r.key FROM records.records r \
                     WHERE r.environment_id = $1 AND r.stream = $2 AND r.sequence <= $3 \
                     AND NOT r.deleted AND NOT EXISTS (SELECT FROM ( \
                         SELECT unnest(keys) AS key FROM records.seen \
                         WHERE environment_id = $1 AND stream = $2 AND tracked_from = $3 \
                     ) k WHERE k.key = r.key) LIMIT $4",
                )
                .bind::<SqlUuid, _>(stream.name.environment)
                .bind::<BigInt, _>(stream.id)
                .bind::<BigInt, _>(from)
                .bind::<BigInt, _>(LOOK)
                .load(conn)
                .await
            })
            .await?;
        Ok(keys.into_iter().map(|row| row.key).collect())
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

async fn look(conn: &mut Connection, stream: &Stream) -> Result<Option<Row>, Error> {
    Ok(diesel::sql_query(
        "SELECT fence, tracked_from FROM records.streams WHERE environment_id = $1 AND id = $2",
    )
    .bind::<SqlUuid, _>(stream.name.environment)
    .bind::<BigInt, _>(stream.id)
    .get_result(conn)
    .await
    .optional()?)
}

fn check(stream: &Stream, fence: Option<i64>, current: i64) -> Result<(), Error> {
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
