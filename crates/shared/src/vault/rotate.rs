//! Rotation while requests run: row by row, each by compare-and-set, so that it
//! can stop anywhere and start again.
//!
//! Replacing the data key cannot happen at once. Other processes cannot open
//! what the new version seals before they have loaded it, so for as long as keys
//! are cached nobody uses it. Then some still seal with the older version until
//! they load again, so the walk over the sealed columns is repeated until that
//! time has passed too and a walk finds nothing left. Older versions stay and
//! only open, for the value that a slow request writes even later.

use std::collections::BTreeSet;

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Binary, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection as _, RunQueryDsl};
use uuid::Uuid;

use super::environment::{Context, EnvironmentKeys};
use super::error::Error;
use super::sealed::{RowId, SEALED, SealedColumn};
use super::{Vault, store};
use crate::db::{Connection, Database};
use crate::tenancy::EnvironmentId;

/// Rows that are read at once.
const PAGE: i64 = 100;

/// What [`Vault::rotate_root`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RootReport {
    /// Data keys that the primary root key wraps now and did not before.
    pub rewrapped: u64,
}

/// What [`Vault::rotate_data`] did, or has done so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataReport {
    /// Environments that got a new data key.
    pub environments: u64,
    /// Values that the new data keys seal now.
    pub resealed: u64,
    /// Values that a request replaced first; they were looked at again.
    pub overtaken: u64,
    /// Values that do not open and were left as they are; each is logged.
    pub unreadable: u64,
}

impl Vault {
    /// Wraps every data key with the primary root key. Afterwards the other
    /// root keys are not needed, once no process has them as primary.
    ///
    /// # Errors
    /// As [`Vault::check`], which it begins with.
    pub async fn rotate_root(&self) -> Result<RootReport, Error> {
        self.check().await?;
        let primary = self.keyring().primary();
        let mut report = RootReport::default();
        let mut conn = self.database().conn().await?;
        loop {
            let page = store::not_wrapped_by(&mut conn, primary, PAGE).await?;
            if page.is_empty() {
                return Ok(report);
            }
            for old in page {
                let (environment, version, key) = self.unwrap(&old)?;
                let wrapped = self.keyring().wrap(environment, version, &key)?;
                let ours = store::rewrap(&mut conn, &old, primary, &wrapped).await?;
                report.rewrapped += u64::from(ours);
            }
        }
    }

    /// Gives every environment a new data key and seals everything with it.
    /// Takes at least three times as long as keys are cached (see [`Vault::new`]).
    /// `progress` is called after each page of values.
    ///
    /// # Errors
    /// As [`Vault::check`], which it begins with.
    pub async fn rotate_data(
        &self,
        mut progress: impl FnMut(&DataReport) + Send,
    ) -> Result<DataReport, Error> {
        self.check().await?;
        let environments = {
            let mut conn = self.database().conn().await?;
            store::newest(&mut conn).await?
        };
        let mut report = DataReport::default();
        for (environment, newest) in &environments {
            self.add_version(EnvironmentId(*environment), newest + 1)
                .await?;
            report.environments += 1;
        }
        tokio::time::sleep(self.settling()).await;
        self.walk_all(&environments, &mut report, &mut progress)
            .await?;
        // Others keep what they loaded just before for that long.
        tokio::time::sleep(self.cache_ttl()).await;
        loop {
            let before = report;
            report.unreadable = 0;
            self.walk_all(&environments, &mut report, &mut progress)
                .await?;
            if (report.resealed, report.overtaken) == (before.resealed, before.overtaken) {
                return Ok(report);
            }
        }
    }

    async fn walk_all(
        &self,
        environments: &[(Uuid, i32)],
        report: &mut DataReport,
        progress: &mut (impl FnMut(&DataReport) + Send),
    ) -> Result<(), Error> {
        for (environment, _) in environments {
            let environment = EnvironmentId(*environment);
            let keys = self.reload(environment).await?;
            for column in SEALED {
                self.walk(environment, &keys, column, report, progress)
                    .await?;
            }
        }
        Ok(())
    }

    fn holding(&self, column: &SealedColumn) -> &Database {
        match column.is_of_records() {
            true => &self.inner.records,
            false => self.database(),
        }
    }

    /// Walks one column in pages by primary key.
    async fn walk(
        &self,
        environment: EnvironmentId,
        keys: &EnvironmentKeys,
        column: &SealedColumn,
        report: &mut DataReport,
        progress: &mut (impl FnMut(&DataReport) + Send),
    ) -> Result<(), Error> {
        let newest = keys.newest().ok_or(Error::NoDataKey { environment })?;
        let mut after = column.row.before_all().to_owned();
        loop {
            let mut conn = self.holding(column).conn().await?;
            let page = older(&mut conn, environment, column, newest, &after).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after.clone_from(&last.id);
            let outcomes = match column.row {
                // A commit for each of millions would take days.
                RowId::Record => {
                    conn.transaction(async |conn| {
                        hold_up_batches(conn, environment, &page).await?;
                        reseal_all(conn, environment, keys, newest, column, &page).await
                    })
                    .await?
                }
                _ => reseal_all(&mut conn, environment, keys, newest, column, &page).await?,
            };
            for outcome in outcomes {
                match outcome {
                    Outcome::Resealed => report.resealed += 1,
                    Outcome::Overtaken => report.overtaken += 1,
                    Outcome::Unreadable => report.unreadable += 1,
                }
            }
            progress(report);
        }
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    id: String,
    #[diesel(sql_type = Binary)]
    value: Vec<u8>,
}

enum Outcome {
    Resealed,
    Overtaken,
    Unreadable,
}

/// A page of values that an older data key than `newest` sealed. Bytes 2 to 5
/// are the version, big-endian, so comparing bytes compares versions.
async fn older(
    conn: &mut Connection,
    environment: EnvironmentId,
    column: &SealedColumn,
    newest: u32,
    after: &str,
) -> Result<Vec<Row>, Error> {
    let SealedColumn { table, column, row } = column;
    let sql = format!(
        "SELECT {text} AS id, {column} AS value FROM {table} AS r \
         WHERE environment_id = $1 AND {columns} > {after} \
         AND substring({column} FROM 2 FOR 4) < $3 \
         ORDER BY {order} LIMIT $4",
        text = row.text(),
        columns = row.columns(),
        after = row.parameter(2),
        order = match row {
            RowId::Record => "r.stream, r.key",
            _ => "r.id",
        },
    );
    Ok(diesel::sql_query(sql)
        .bind::<SqlUuid, _>(environment.0)
        .bind::<Text, _>(after)
        .bind::<Binary, _>(newest.to_be_bytes().to_vec())
        .bind::<BigInt, _>(PAGE)
        .load(conn)
        .await?)
}

/// Takes the locks that batches of the page's streams take first, in one order,
/// so that neither waits for a row that the other has while holding one.
async fn hold_up_batches(
    conn: &mut Connection,
    environment: EnvironmentId,
    page: &[Row],
) -> Result<(), Error> {
    let streams: BTreeSet<i64> = page
        .iter()
        .filter_map(|row| row.id.split_once(':')?.0.parse().ok())
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

async fn reseal_all(
    conn: &mut Connection,
    environment: EnvironmentId,
    keys: &EnvironmentKeys,
    newest: u32,
    column: &SealedColumn,
    page: &[Row],
) -> Result<Vec<Outcome>, Error> {
    let mut outcomes = Vec::with_capacity(page.len());
    for row in page {
        outcomes.push(reseal(conn, environment, keys, newest, column, row).await?);
    }
    Ok(outcomes)
}

async fn reseal(
    conn: &mut Connection,
    environment: EnvironmentId,
    keys: &EnvironmentKeys,
    newest: u32,
    sealed: &SealedColumn,
    row: &Row,
) -> Result<Outcome, Error> {
    let SealedColumn { table, column, .. } = *sealed;
    let bytes = sealed.row.bytes(&row.id).unwrap_or_default();
    let context = Context {
        table,
        column,
        row: &bytes,
    };
    let plain = match keys.open(&context, &row.value) {
        Ok(plain) => plain,
        Err(error) => {
            tracing::error!(%error, environment = %environment.0, row = row.id, "left as it is");
            return Ok(Outcome::Unreadable);
        }
    };
    let value = keys.seal_with(newest, &context, &plain)?;
    let sql = format!(
        "UPDATE {table} SET {column} = $1 \
         WHERE environment_id = $2 AND {columns} = {id} AND {column} = $4",
        columns = sealed.row.columns(),
        id = sealed.row.parameter(3),
    );
    let updated = diesel::sql_query(sql)
        .bind::<Binary, _>(value)
        .bind::<SqlUuid, _>(environment.0)
        .bind::<Text, _>(&row.id)
        .bind::<Binary, _>(&row.value)
        .execute(conn)
        .await?;
    Ok(match updated {
        0 => Outcome::Overtaken,
        _ => Outcome::Resealed,
    })
}
