//! A page of values that a new data key is to seal.

use std::collections::BTreeSet;

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl, SimpleAsyncConnection as _};

use super::environment::{Context, EnvironmentKeys};
use super::error::Error;
use super::sealed::{RowId, SealedColumn};
use crate::db::Connection;
use crate::tenancy::EnvironmentId;

/// Rows that are read at once.
const PAGE: i64 = 100;
/// Records that are read, and stored, at once: there may be millions.
const RECORDS: i64 = 500;
/// What the values of a page take together; the one that goes beyond is the last
/// (16 MiB).
const PAGE_BYTES: i64 = 16 * 1024 * 1024;

/// A sealed value and what names its row.
#[derive(QueryableByName)]
pub(super) struct Row {
    #[diesel(sql_type = Text)]
    pub(super) id: String,
    #[diesel(sql_type = Binary)]
    value: Vec<u8>,
}

/// Values with what is to take their place.
#[derive(Default)]
pub(super) struct Resealed {
    ids: Vec<String>,
    old: Vec<Vec<u8>>,
    new: Vec<Vec<u8>>,
}

impl Resealed {
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }
}

/// A page of values that an older data key than `newest` sealed. Bytes 2 to 5
/// are the version, big-endian, so comparing bytes compares versions.
pub(super) async fn older(
    conn: &mut Connection,
    environment: EnvironmentId,
    column: &SealedColumn,
    newest: u32,
    after: &str,
) -> Result<Vec<Row>, Error> {
    let SealedColumn { table, column, row } = column;
    let (order, limit) = match row {
        RowId::Record => ("r.stream, r.key", RECORDS),
        _ => ("r.id", PAGE),
    };
    let sql = format!(
        "SELECT p.id, p.value FROM (SELECT {text} AS id, {column} AS value, \
             sum(octet_length({column})) OVER (ORDER BY {order} ROWS UNBOUNDED PRECEDING) \
             - octet_length({column}) AS before \
             FROM {table} AS r WHERE environment_id = $1 AND {columns} > {after} \
             AND substring({column} FROM 2 FOR 4) < $3 ORDER BY {order} LIMIT $4) p \
         WHERE p.before < $5",
        text = row.text(),
        columns = row.columns(),
        after = row.parameter(2),
    );
    Ok(diesel::sql_query(sql)
        .bind::<SqlUuid, _>(environment.0)
        .bind::<Text, _>(after)
        .bind::<Binary, _>(newest.to_be_bytes().to_vec())
        .bind::<BigInt, _>(limit)
        .bind::<BigInt, _>(PAGE_BYTES)
        .load(conn)
        .await?)
}

/// The values, sealed by the key `newest`. Those that do not open are logged and
/// left out.
pub(super) fn anew(
    environment: EnvironmentId,
    keys: &EnvironmentKeys,
    newest: u32,
    sealed: &SealedColumn,
    page: Vec<Row>,
) -> Result<Resealed, Error> {
    let SealedColumn { table, column, .. } = *sealed;
    let mut values = Resealed::default();
    for Row { id, value } in page {
        let bytes = sealed.row.bytes(&id).unwrap_or_default();
        let context = Context {
            table,
            column,
            row: &bytes,
        };
        let plain = match keys.open(&context, &value) {
            Ok(plain) => plain,
            Err(error) => {
                tracing::error!(%error, environment = %environment.0, row = id, "left as it is");
                continue;
            }
        };
        values.new.push(keys.seal_with(newest, &context, &plain)?);
        values.old.push(value);
        values.ids.push(id);
    }
    Ok(values)
}

/// Stores them where nobody stored anything else meanwhile; how many.
pub(super) async fn store(
    conn: &mut Connection,
    environment: EnvironmentId,
    column: &SealedColumn,
    values: Resealed,
) -> Result<u64, Error> {
    if column.row != RowId::Record {
        return store_each(conn, environment, column, values).await;
    }
    // A statement and a commit for each of millions would take days.
    conn.transaction(async |conn| {
        hold_up_batches(conn, environment, &values.ids).await?;
        store_all(conn, environment, column, values).await
    })
    .await
}

/// Takes the locks that batches of the records' streams take first, in one order,
/// so that neither waits for a row that the other has while holding one.
async fn hold_up_batches(
    conn: &mut Connection,
    environment: EnvironmentId,
    ids: &[String],
) -> Result<(), Error> {
    let streams: BTreeSet<i64> = ids
        .iter()
        .filter_map(|id| id.split_once(':')?.0.parse().ok())
        .collect();
    diesel::sql_query(
        "SELECT id FROM records.streams WHERE environment_id = $1 AND id = ANY($2) \
         ORDER BY id FOR UPDATE",
    )
    .bind::<SqlUuid, _>(environment.0)
    .bind::<Array<BigInt>, _>(streams.into_iter().collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// All in one statement, which finds each row by its key: with old statistics
/// Postgres would rather read the whole table for every page.
async fn store_all(
    conn: &mut Connection,
    environment: EnvironmentId,
    sealed: &SealedColumn,
    values: Resealed,
) -> Result<u64, Error> {
    let SealedColumn { table, column, row } = sealed;
    conn.batch_execute(
        "SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off; \
         SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL jit = off",
    )
    .await?;
    let sql = format!(
        "UPDATE {table} AS r SET {column} = g.new \
         FROM unnest($2, $3, $4) AS g(id, old, new) \
         WHERE r.environment_id = $1 AND {columns} = {id} AND r.{column} = g.old",
        columns = row.columns_of("r"),
        id = row.typed("g.id"),
    );
    let stored = diesel::sql_query(sql)
        .bind::<SqlUuid, _>(environment.0)
        .bind::<Array<Text>, _>(values.ids)
        .bind::<Array<Binary>, _>(values.old)
        .bind::<Array<Binary>, _>(values.new)
        .execute(conn)
        .await?;
    Ok(stored as u64)
}

/// One by one: requests change several of these rows in an order of their own.
async fn store_each(
    conn: &mut Connection,
    environment: EnvironmentId,
    sealed: &SealedColumn,
    values: Resealed,
) -> Result<u64, Error> {
    let SealedColumn { table, column, row } = sealed;
    let sql = format!(
        "UPDATE {table} SET {column} = $1 \
         WHERE environment_id = $2 AND {columns} = {id} AND {column} = $4",
        columns = row.columns(),
        id = row.parameter(3),
    );
    let mut stored = 0;
    let replaced = values.old.into_iter().zip(values.new);
    for (id, (old, new)) in values.ids.into_iter().zip(replaced) {
        let updated = diesel::sql_query(sql.clone())
            .bind::<Binary, _>(new)
            .bind::<SqlUuid, _>(environment.0)
            .bind::<Text, _>(id)
            .bind::<Binary, _>(old)
            .execute(conn)
            .await?;
        stored += updated as u64;
    }
    Ok(stored)
}
