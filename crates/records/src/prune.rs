//! Pruning: emptying payloads, of which only ids and times stay.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Binary, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl, SimpleAsyncConnection};
use linkspan_shared::breakpoint::reach;
use linkspan_shared::db::Connection;
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_shared::vault::EnvironmentKeys;
use uuid::Uuid;

use crate::compare::lock;
use crate::parallel::in_parallel;
use crate::stream::Stream;
use crate::{Cursor, Error, Store, StreamName, json, payload};

/// Records that are pruned in one transaction.
const PIECE: i64 = 500;
/// What their payloads take together, unless it is one (16 MiB).
const PIECE_BYTES: i64 = 16 * 1024 * 1024;

/// What a pruning did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pruned {
    /// Records whose payload was emptied.
    pub count: u64,
    /// Whether there are more to prune.
    pub has_more: bool,
}

#[derive(QueryableByName)]
struct Due {
    #[diesel(sql_type = SqlUuid)]
    environment_id: Uuid,
    #[diesel(sql_type = BigInt)]
    connection: i64,
    #[diesel(sql_type = Text)]
    model: String,
    #[diesel(sql_type = Text)]
    variant: String,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = SqlUuid)]
    key: Uuid,
    #[diesel(sql_type = BigInt)]
    sequence: i64,
    /// Absent beyond what a piece may hold.
    #[diesel(sql_type = Nullable<Binary>)]
    payload: Option<Vec<u8>>,
}

impl Store {
    /// Empties the payloads of at most `limit` records that changed last at
    /// `until` or before, oldest first. Their ids and times stay, and what reads
    /// by cursor does not see them again.
    ///
    /// # Errors
    /// When the database fails, or a payload does not open.
    pub async fn prune(
        &self,
        name: &StreamName,
        until: Cursor,
        limit: u32,
    ) -> Result<Pruned, Error> {
        let mut pruned = Pruned::default();
        let Some(stream) = self.stream(name).await? else {
            return Ok(pruned);
        };
        // Before a connection is held: the keys may need one.
        let mut keys = self.vault().environment(name.environment).await?;
        loop {
            let left = i64::from(limit) - i64::try_from(pruned.count).unwrap_or(i64::MAX);
            let piece = left.clamp(0, PIECE);
            let mut conn = self.db().conn().await?;
            let done = conn
                .transaction(async |conn| prune_piece(conn, &stream, &keys, until, piece).await)
                .await?;
            drop(conn);
            match done {
                Piece::Done { count, has_more } => {
                    pruned.count += count;
                    pruned.has_more = has_more;
                    if !has_more || piece == 0 {
                        return Ok(pruned);
                    }
                    reach("records.piece");
                }
                Piece::NewKeys => keys = self.vault().reload(name.environment).await?,
            }
        }
    }

    /// Prunes at most `limit` records of all environments that have not changed
    /// since `before`; for a job that calls it again while there are more.
    ///
    /// # Errors
    /// As [`Store::prune`].
    pub async fn prune_due(&self, before: DateTime<Utc>, limit: u32) -> Result<Pruned, Error> {
        /// Streams that are looked at in one call.
        const STREAMS: i64 = 100;
        let until = Cursor::at(before);
        let due: Vec<Due> = diesel::sql_query(
            "SELECT s.environment_id, s.connection, s.model, s.variant FROM records.streams s \
             WHERE EXISTS (SELECT FROM records.records r WHERE r.stream = s.id \
                 AND r.sequence > s.pruned_until AND r.sequence <= $1) LIMIT $2",
        )
        .bind::<BigInt, _>(until.0)
        .bind::<BigInt, _>(STREAMS)
        .load(&mut *self.db().conn().await?)
        .await?;
        let mut all = Pruned {
            count: 0,
            has_more: i64::try_from(due.len()).unwrap_or(i64::MAX) == STREAMS,
        };
        for due in due {
            let name = StreamName {
                environment: EnvironmentId(due.environment_id),
                connection: due.connection,
                model: due.model,
                variant: due.variant,
            };
            let left = u64::from(limit).saturating_sub(all.count);
            let pruned = self
                .prune(&name, until, u32::try_from(left).unwrap_or(u32::MAX))
                .await?;
            all.count += pruned.count;
            all.has_more |= pruned.has_more;
        }
        Ok(all)
    }
}

enum Piece {
    Done {
        count: u64,
        has_more: bool,
    },
    /// A data key sealed some that is newer than those at hand.
    NewKeys,
}

/// Prunes at most `most` records with the stream locked, so that what is read is
/// what is replaced.
async fn prune_piece(
    conn: &mut Connection,
    stream: &Stream,
    keys: &Arc<EnvironmentKeys>,
    until: Cursor,
    most: i64,
) -> Result<Piece, Error> {
    conn.batch_execute(crate::read::IN_ORDER).await?;
    lock(conn, stream).await?;
    let mut rows = first(conn, stream, until, most + 1).await?;
    let found = rows.len();
    rows.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let has_more = found > rows.len() || rows.iter().any(|row| row.payload.is_none());
    rows.retain(|row| row.payload.is_some());
    let Some(until) = rows.last().map(|row| row.sequence) else {
        return Ok(Piece::Done { count: 0, has_more });
    };
    if !keys.know_all(rows.iter().filter_map(|row| row.payload.as_deref())) {
        return Ok(Piece::NewKeys);
    }
    let (keys, id) = (Arc::clone(keys), stream.id);
    let emptied = in_parallel(rows, move |rows| {
        let part = payload::part(&keys, id)?;
        rows.into_iter()
            .map(|row| {
                let sealed = row.payload.unwrap_or_default();
                let text = payload::open(&part, id, row.key, &sealed)?;
                let emptied = payload::seal(&part, id, row.key, &only_id(&text)?)?;
                Ok((row.key, sealed.len(), emptied))
            })
            .collect()
    })
    .await?;
    let count = store(conn, stream, until, emptied).await?;
    Ok(Piece::Done { count, has_more })
}

/// Those that come first. What is up to `pruned_until` is pruned already.
async fn first(
    conn: &mut Connection,
    stream: &Stream,
    until: Cursor,
    limit: i64,
) -> Result<Vec<Row>, Error> {
    let mut rows: Vec<Row> = diesel::sql_query(
        "SELECT p.key, p.sequence, CASE WHEN p.before < $5 THEN p.payload END AS payload \
         FROM records.streams s CROSS JOIN LATERAL ( \
             SELECT r.environment_id, r.key, r.sequence, r.payload, \
                 sum(octet_length(r.payload)) \
                 OVER (ORDER BY r.stream, r.sequence ROWS UNBOUNDED PRECEDING) \
                 - octet_length(r.payload) AS before \
             FROM records.records r \
             WHERE r.stream = s.id AND r.sequence > s.pruned_until AND r.sequence <= $3 \
             ORDER BY r.stream, r.sequence LIMIT $4 \
         ) p WHERE s.environment_id = $1 AND s.id = $2 AND p.environment_id = $1",
    )
    .bind::<SqlUuid, _>(stream.name.environment)
    .bind::<BigInt, _>(stream.id)
    .bind::<BigInt, _>(until.0)
    .bind::<BigInt, _>(limit)
    .bind::<BigInt, _>(PIECE_BYTES)
    .load(conn)
    .await?;
    rows.sort_unstable_by_key(|row| row.sequence);
    Ok(rows)
}

/// There is a conflict for each, as in a batch that replaces records; what else
/// the row would be made of does not count.
const STORE: &str = "\
WITH s AS ( \
    UPDATE records.streams SET pruned_until = $3, bytes = bytes - $4 \
    WHERE environment_id = $1 AND id = $2 RETURNING id \
) \
INSERT INTO records.records AS r \
    (environment_id, stream, key, hash, sequence, added, deleted, payload) \
SELECT $1, s.id, g.key, g.key, 0, 0, true, g.payload \
FROM s, unnest($5, $6) AS g(key, payload) \
ON CONFLICT (environment_id, stream, key) DO UPDATE \
    SET payload = excluded.payload, pruned_at = now()";

async fn store(
    conn: &mut Connection,
    stream: &Stream,
    until: i64,
    emptied: Vec<(Uuid, usize, Vec<u8>)>,
) -> Result<u64, Error> {
    let (mut keys, mut payloads, mut freed) = (Vec::new(), Vec::new(), 0);
    for (key, before, payload) in emptied {
        let size = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        freed += size(before) - size(payload.len());
        keys.push(key);
        payloads.push(payload);
    }
    let count = diesel::sql_query(STORE)
        .bind::<SqlUuid, _>(stream.name.environment)
        .bind::<BigInt, _>(stream.id)
        .bind::<BigInt, _>(until)
        .bind::<BigInt, _>(freed)
        .bind::<Array<SqlUuid>, _>(keys)
        .bind::<Array<Binary>, _>(payloads)
        .execute(conn)
        .await?;
    Ok(count as u64)
}

/// What stays of a record: `{"id":…}`, as the id was written.
fn only_id(text: &str) -> Result<String, Error> {
    let members = json::members(text).ok().flatten().unwrap_or_default();
    let id = members
        .iter()
        .rfind(|member| &*member.key == b"id")
        .ok_or(Error::Unreadable("it has no id"))?;
    Ok(format!("{{\"id\":{}}}", id.value))
}
