//! Storing what a batch changes: one statement, which is a transaction of its
//! own unless there is one around it.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Int8, Nullable, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use linkspan_shared::db::Connection;
use uuid::Uuid;

use crate::Error;
use crate::stream::Stream;

/// Records with what is to be stored of each.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    pub(crate) keys: Vec<Uuid>,
    pub(crate) hashes: Vec<Uuid>,
    pub(crate) payloads: Vec<Vec<u8>>,
    /// The place of each among what the batch changes, from 1.
    pub(crate) places: Vec<i64>,
}

/// What a batch changes, on the condition that nobody changed the stream since
/// it was compared.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The stream's sequence when it was compared.
    pub(crate) sequence: i64,
    pub(crate) tracked_from: Option<i64>,
    pub(crate) fence: Option<i64>,
    /// How many records change.
    pub(crate) count: i64,
    /// Records that are not there.
    pub(crate) new: Rows,
    /// Records that are there, deleted or with another content.
    pub(crate) old: Rows,
    /// Records to delete.
    pub(crate) gone: Vec<Uuid>,
    /// Records to note as seen.
    pub(crate) seen: Vec<Uuid>,
    /// By how much the stream's counts change.
    pub(crate) live: i64,
    pub(crate) deleted: i64,
    pub(crate) bytes: i64,
}

#[derive(QueryableByName)]
struct Advanced {
    #[diesel(sql_type = BigInt)]
    sequence: i64,
}

/// Comes first, since the rest takes its rows: it locks the stream to the end of
/// the transaction.
const ADVANCE: &str = "\
WITH s AS ( \
    UPDATE records.streams SET \
        sequence = CASE WHEN $5 = 0 THEN sequence ELSE $5 + greatest(sequence, \
            (extract(epoch FROM clock_timestamp()) * 1000000)::bigint) END, \
        fence = greatest(fence, $4), written_at = now(), \
        live = live + $6, deleted = deleted + $7, bytes = bytes + $8 \
    WHERE environment_id = $1 AND id = $2 AND sequence = $3 \
        AND tracked_from IS NOT DISTINCT FROM $9 AND ($4 IS NULL OR fence <= $4) \
    RETURNING sequence, sequence - $5 AS base \
)";

const NEW: &str = ", new AS ( \
    INSERT INTO records.records \
        (environment_id, stream, key, hash, sequence, added, deleted, payload) \
    SELECT $1, $2, g.key, g.hash, s.base + g.at, s.base + g.at, false, g.payload \
    FROM s, unnest($10, $11, $12, $13) AS g(key, hash, payload, at) \
)";

/// By way of a conflict, because that finds a row by its key whatever Postgres
/// believes of the stream's size (see [`crate::compare`]). A new row is plainly
/// inserted, which costs less.
const OLD: &str = ", old AS ( \
    INSERT INTO records.records AS r \
        (environment_id, stream, key, hash, sequence, added, deleted, payload) \
    SELECT $1, $2, g.key, g.hash, s.base + g.at, s.base + g.at, false, g.payload \
    FROM s, unnest($14, $15, $16, $17) AS g(key, hash, payload, at) \
    ON CONFLICT (environment_id, stream, key) DO UPDATE SET hash = excluded.hash, \
        sequence = excluded.sequence, payload = excluded.payload, pruned_at = NULL, \
        added = CASE WHEN r.deleted THEN excluded.added ELSE r.added END, deleted = false \
)";

/// There is a conflict for each: they were there when the stream was as it is.
const GONE: &str = ", gone AS ( \
    INSERT INTO records.records AS r \
        (environment_id, stream, key, hash, sequence, added, deleted, payload) \
    SELECT $1, $2, g.key, g.key, s.base + g.at, 0, true, ''::bytea \
    FROM s, unnest($18) WITH ORDINALITY AS g(key, at) \
    ON CONFLICT (environment_id, stream, key) DO UPDATE SET deleted = true, \
        sequence = excluded.sequence \
)";

const SEEN: &str = ", seen AS ( \
    INSERT INTO records.seen (environment_id, stream, tracked_from, batch, keys) \
    SELECT $1, $2, $9, $20, $19 FROM s \
)";

impl Changes {
    /// Each part costs a moment also when it has nothing to do.
    fn sql(&self) -> String {
        let parts = [
            (NEW, self.new.keys.is_empty()),
            (OLD, self.old.keys.is_empty()),
            (GONE, self.gone.is_empty()),
            (SEEN, self.seen.is_empty()),
        ];
        let mut sql = ADVANCE.to_owned();
        for (part, is_empty) in parts {
            if !is_empty {
                sql.push_str(part);
            }
        }
        sql.push_str(" SELECT sequence FROM s");
        sql
    }

    /// Stores the changes; the stream's sequence afterwards, or `None` when the
    /// stream is not as it was compared.
    pub(crate) async fn write(
        &self,
        conn: &mut Connection,
        stream: &Stream,
    ) -> Result<Option<i64>, Error> {
        let advanced: Option<Advanced> = diesel::sql_query(self.sql())
            .bind::<SqlUuid, _>(stream.name.environment)
            .bind::<BigInt, _>(stream.id)
            .bind::<BigInt, _>(self.sequence)
            .bind::<Nullable<BigInt>, _>(self.fence)
            .bind::<BigInt, _>(self.count)
            .bind::<BigInt, _>(self.live)
            .bind::<BigInt, _>(self.deleted)
            .bind::<BigInt, _>(self.bytes)
            .bind::<Nullable<BigInt>, _>(self.tracked_from)
            .bind::<Array<SqlUuid>, _>(&self.new.keys)
            .bind::<Array<SqlUuid>, _>(&self.new.hashes)
            .bind::<Array<Binary>, _>(&self.new.payloads)
            .bind::<Array<Int8>, _>(&self.new.places)
            .bind::<Array<SqlUuid>, _>(&self.old.keys)
            .bind::<Array<SqlUuid>, _>(&self.old.hashes)
            .bind::<Array<Binary>, _>(&self.old.payloads)
            .bind::<Array<Int8>, _>(&self.old.places)
            .bind::<Array<SqlUuid>, _>(&self.gone)
            .bind::<Array<SqlUuid>, _>(&self.seen)
            .bind::<SqlUuid, _>(Uuid::now_v7())
            .get_result(conn)
            .await
            .optional()?;
        Ok(advanced.map(|row| row.sequence))
    }
}
