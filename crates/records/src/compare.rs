//! What of a batch the store has already: one statement, which writes nothing.

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bool, Int4, Nullable, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use linkspan_shared::db::Connection;
use uuid::Uuid;

use crate::Error;
use crate::stream::Stream;

/// A stream and the records of a batch as they were at one moment. Positions
/// count a batch's records from 1.
#[derive(Debug, QueryableByName)]
pub(crate) struct Compared {
    #[diesel(sql_type = BigInt)]
    pub(crate) sequence: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) fence: i64,
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(crate) tracked_from: Option<i64>,
    /// Whether the row says of another hour when a batch last came.
    #[diesel(sql_type = Bool)]
    pub(crate) is_note_due: bool,
    /// Stored with this content.
    #[diesel(sql_type = Array<Int4>)]
    pub(crate) same: Vec<i32>,
    /// Stored with another.
    #[diesel(sql_type = Array<Int4>)]
    pub(crate) different: Vec<i32>,
    /// Stored and deleted.
    #[diesel(sql_type = Array<Int4>)]
    pub(crate) deleted: Vec<i32>,
    /// Changed after the place that the merging strategy names.
    #[diesel(sql_type = Array<Int4>)]
    pub(crate) later: Vec<i32>,
    /// What the payloads of those that differ or are deleted take.
    #[diesel(sql_type = BigInt)]
    pub(crate) bytes: i64,
}

/// The look-up of each key is a sub-query of its own that OFFSET keeps from
/// being planned as a join: with old statistics Postgres takes a large stream
/// for a small one, and a join would read all of it for every batch.
const COMPARE: &str = "\
SELECT s.sequence, s.fence, s.tracked_from, \
    s.written_at < now() - interval '1 hour' AS is_note_due, \
    coalesce(o.same, '{}') AS same, coalesce(o.different, '{}') AS different, \
    coalesce(o.deleted, '{}') AS deleted, coalesce(o.later, '{}') AS later, \
    coalesce(o.bytes, 0)::bigint AS bytes \
FROM records.streams s CROSS JOIN LATERAL ( \
    SELECT array_agg(f.at) FILTER (WHERE f.state = 0) AS same, \
        array_agg(f.at) FILTER (WHERE f.state = 1) AS different, \
        array_agg(f.at) FILTER (WHERE f.state = 2) AS deleted, \
        array_agg(f.at) FILTER (WHERE f.state = 3) AS later, \
        sum(f.bytes) FILTER (WHERE f.state IN (1, 2)) AS bytes \
    FROM unnest($3, $4) WITH ORDINALITY AS g(key, hash, at) \
    CROSS JOIN LATERAL ( \
        SELECT g.at::int AS at, octet_length(r.payload) AS bytes, \
            CASE WHEN r.sequence > $5 THEN 3 WHEN r.deleted THEN 2 \
                WHEN r.hash = g.hash THEN 0 ELSE 1 END AS state \
        FROM records.records r \
        WHERE r.environment_id = $1 AND r.stream = $2 AND r.key = g.key OFFSET 0 \
    ) f \
) o \
WHERE s.environment_id = $1 AND s.id = $2";

/// Compares; `None` when the stream is gone. Records that changed after `later`
/// are counted as such.
pub(crate) async fn compare(
    conn: &mut Connection,
    stream: &Stream,
    keys: &[Uuid],
    hashes: &[Uuid],
    later: Option<i64>,
) -> Result<Option<Compared>, Error> {
    Ok(diesel::sql_query(COMPARE)
        .bind::<SqlUuid, _>(stream.name.environment)
        .bind::<BigInt, _>(stream.id)
        .bind::<Array<SqlUuid>, _>(keys)
        .bind::<Array<SqlUuid>, _>(hashes)
        .bind::<Nullable<BigInt>, _>(later)
        .get_result(conn)
        .await
        .optional()?)
}

/// Locks a stream until the transaction's end, as every write of it does first.
pub(crate) async fn lock(conn: &mut Connection, stream: &Stream) -> Result<(), Error> {
    diesel::sql_query(
        "SELECT 1 FROM records.streams WHERE environment_id = $1 AND id = $2 FOR UPDATE",
    )
    .bind::<SqlUuid, _>(stream.name.environment)
    .bind::<BigInt, _>(stream.id)
    .execute(conn)
    .await?;
    Ok(())
}
