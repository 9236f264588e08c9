//! Rotation while requests run: each value by compare-and-set, so that it can stop
//! anywhere and start again.
//!
//! Replacing the data key cannot happen at once. Other processes cannot open
//! what the new version seals before they have loaded it, so for as long as keys
//! are cached nobody uses it. Then some still seal with the older version until
//! they load again, so the walk over the sealed columns is repeated until that
//! time has passed too and a walk finds nothing left. Older versions stay and
//! only open, for the value that a slow request writes even later.

use uuid::Uuid;

use super::environment::EnvironmentKeys;
use super::error::Error;
use super::sealed::{SEALED, SealedColumn};
use super::{Vault, reseal, store};
use crate::db::Database;
use crate::tenancy::EnvironmentId;

/// Data keys that are read at once.
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
            let page = reseal::older(&mut conn, environment, column, newest, &after).await?;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after.clone_from(&last.id);
            let found = page.len() as u64;
            let values = reseal::anew(environment, keys, newest, column, page)?;
            let sealed = values.len() as u64;
            let stored = reseal::store(&mut conn, environment, column, values).await?;
            report.unreadable += found - sealed;
            report.resealed += stored;
            report.overtaken += sealed - stored;
            progress(report);
        }
    }
}
