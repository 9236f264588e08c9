//! Rotation while requests run: row by row, each by compare-and-set, so that it
//! can stop anywhere and start again.
//!
//! Replacing the data key cannot happen at once. Other processes cannot open
//! what the new version seals before they have loaded it, so for as long as keys
//! are cached nobody uses it. Then some still seal with the older version until
//! they load again, so the walk over the sealed columns is repeated until that
//! time has passed too and a walk finds nothing left. Older versions stay and
//! only open, for the value that a slow request writes even later.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Binary, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::environment::{Context, EnvironmentKeys};
use super::error::Error;
use super::sealed::{SEALED, SealedColumn};
use super::{Vault, store};
use crate::db::Connection;
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
            let mut conn = self.database().conn().await?;
            let page = older(&mut conn, environment, column, newest, &after).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after.clone_from(&last.id);
            for row in &page {
                match reseal(&mut conn, environment, keys, newest, column, row).await? {
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
        "SELECT id::text AS id, {column} AS value FROM {table} \
         WHERE environment_id = $1 AND id > $2::text::{row} \
         AND substring({column} FROM 2 FOR 4) < $3 \
         ORDER BY {table}.id LIMIT $4",
        row = row.sql_type()
    );
    Ok(diesel::sql_query(sql)
        .bind::<SqlUuid, _>(environment.0)
        .bind::<Text, _>(after)
        .bind::<Binary, _>(newest.to_be_bytes().to_vec())
        .bind::<BigInt, _>(PAGE)
        .load(conn)
        .await?)
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
         WHERE environment_id = $2 AND id = $3::text::{row} AND {column} = $4",
        row = sealed.row.sql_type()
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
