//! The vault: the only place that holds keys.
//!
//! Each environment has a data key in versions, wrapped by a root key of the
//! keyring and stored in `data_keys`. A subkey for each table, derived from the
//! data key, seals values by AES-256-GCM, bound to environment, table, column
//! and row: a value copied elsewhere does not open.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

mod envelope;
mod environment;
mod error;
mod keyring;
mod reseal;
mod rotate;
mod sealed;
mod store;

pub use environment::{Context, EnvironmentKeys, Part};
pub use error::Error;
pub use keyring::{Keyring, KeyringError};
pub use rotate::{DataReport, RootReport};
pub use sealed::{RowId, SEALED, SealedColumn};

use crate::db::{Connection, Database};
use crate::tenancy::EnvironmentId;
use envelope::KeyBytes;

/// How long an environment's keys are cached.
const CACHE_TTL: Duration = Duration::from_secs(10);
/// Environments whose keys are cached at once.
const CACHE_SIZE: u64 = 10_000;

/// Seals and opens values with the keys of their environment. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// Where the records are.
    records: Database,
    keyring: Keyring,
    cache_ttl: Duration,
    cache: Cache<EnvironmentId, Arc<EnvironmentKeys>>,
}

impl Vault {
    /// A vault over the control plane's database. It keeps an environment's
    /// keys in memory for 10 seconds.
    #[must_use]
    pub fn new(database: Database, keyring: Keyring) -> Self {
        Self::with_cache_ttl(database, keyring, CACHE_TTL)
    }

    /// As [`Vault::new`], with another time for which keys are cached. It must
    /// be the same in all processes: rotation waits for it.
    #[must_use]
    pub fn with_cache_ttl(database: Database, keyring: Keyring, cache_ttl: Duration) -> Self {
        let cache = Cache::builder()
            .max_capacity(CACHE_SIZE)
            .time_to_live(cache_ttl)
            .build();
        Self {
            inner: Arc::new(Inner {
                records: database.clone(),
                database,
                keyring,
                cache_ttl,
                cache,
            }),
        }
    }

    /// The same vault for records that are in a database of their own.
    #[must_use]
    pub fn with_records(self, records: Database) -> Self {
        let inner = &self.inner;
        Self {
            inner: Arc::new(Inner {
                database: inner.database.clone(),
                records,
                keyring: inner.keyring.clone(),
                cache_ttl: inner.cache_ttl,
                cache: inner.cache.clone(),
            }),
        }
    }

    fn database(&self) -> &Database {
        &self.inner.database
    }

    fn keyring(&self) -> &Keyring {
        &self.inner.keyring
    }

    fn cache_ttl(&self) -> Duration {
        self.inner.cache_ttl
    }

    /// How old a data key must be before it seals. Every process that serves has
    /// it by then, and the requests are over that used what was cached before: a
    /// value that one process seals, all others can open.
    fn settling(&self) -> Duration {
        self.inner.cache_ttl * 2
    }

    /// Checks, at start, that the keyring belongs to the database and has every
    /// root key that a data key needs, and notes a new primary root key.
    ///
    /// # Errors
    /// [`Error::WrongRootKey`], [`Error::MissingRootKey`], [`Error::Database`].
    pub async fn check(&self) -> Result<(), Error> {
        let keyring = self.keyring();
        let mut conn = self.database().conn().await?;
        self.verify(&store::check_values(&mut conn).await?)?;
        for key in store::one_per_root_key(&mut conn).await? {
            self.unwrap(&key)?;
        }
        store::insert_check_value(&mut conn, keyring.primary(), &keyring.check_value()?).await?;
        // Again, because another process with another key of the same id may
        // have been faster.
        self.verify(&store::check_values(&mut conn).await?)
    }

    /// A check value whose root key is gone from the keyring is no problem: if
    /// a data key still needs it, unwrapping that says so.
    fn verify(&self, check_values: &[(String, Vec<u8>)]) -> Result<(), Error> {
        check_values
            .iter()
            .filter(|(id, _)| self.keyring().contains(id))
            .try_for_each(|(id, value)| self.keyring().verify(id, value))
    }

    /// Makes the first data key of a new environment, within the caller's
    /// transaction. Does nothing if it has one.
    ///
    /// # Errors
    /// [`Error::Random`], [`Error::Database`].
    pub async fn create(
        &self,
        conn: &mut Connection,
        environment: EnvironmentId,
    ) -> Result<(), Error> {
        store::insert(conn, &self.new_key(environment, 1)?).await?;
        Ok(())
    }

    /// The data keys of an environment, from memory if they are there. Ask
    /// again for each use instead of keeping them, so that a rotation is
    /// noticed.
    ///
    /// # Errors
    /// [`Error::Loading`], whose cause is [`Error::NoDataKey`],
    /// [`Error::MissingRootKey`], [`Error::WrongRootKey`] or
    /// [`Error::Database`].
    pub async fn environment(
        &self,
        environment: EnvironmentId,
    ) -> Result<Arc<EnvironmentKeys>, Error> {
        self.inner
            .cache
            .try_get_with(environment, self.load(environment))
            .await
            .map_err(Error::Loading)
    }

    /// Opens a value, also one that a data key sealed which is newer than what
    /// is cached.
    ///
    /// # Errors
    /// As [`Vault::environment`] and [`EnvironmentKeys::open`].
    pub async fn open(
        &self,
        environment: EnvironmentId,
        context: &Context<'_>,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let keys = self.environment(environment).await?;
        match keys.open(context, sealed) {
            Err(Error::UnknownVersion { .. }) => {
                self.reload(environment).await?.open(context, sealed)
            }
            opened => opened,
        }
    }

    /// As [`Vault::open`], for a value that was sealed as JSON.
    ///
    /// # Errors
    /// As [`Vault::open`], and [`Error::Json`] when it is not a `T`.
    pub async fn open_json<T: DeserializeOwned>(
        &self,
        environment: EnvironmentId,
        context: &Context<'_>,
        sealed: &[u8],
    ) -> Result<T, Error> {
        environment::from_json(context, &self.open(environment, context, sealed).await?)
    }

    async fn load(&self, environment: EnvironmentId) -> Result<Arc<EnvironmentKeys>, Error> {
        let rows = {
            let mut conn = self.database().conn().await?;
            store::versions(&mut conn, environment.0, self.settling()).await?
        };
        let mut keys = BTreeMap::new();
        let mut sealing = None;
        for (row, is_settled) in &rows {
            let (_, version, key) = self.unwrap(row)?;
            keys.insert(version, key);
            if *is_settled || sealing.is_none() {
                sealing = Some(version);
            }
        }
        let sealing = sealing.ok_or(Error::NoDataKey { environment })?;
        Ok(Arc::new(EnvironmentKeys::new(environment, keys, sealing)))
    }

    /// As [`Vault::environment`], read anew: for values that a newer data key
    /// sealed than the cached ones ([`Error::UnknownVersion`]).
    ///
    /// # Errors
    /// As [`Vault::environment`], without [`Error::Loading`].
    pub async fn reload(&self, environment: EnvironmentId) -> Result<Arc<EnvironmentKeys>, Error> {
        let keys = self.load(environment).await?;
        self.inner.cache.insert(environment, keys.clone()).await;
        Ok(keys)
    }

    /// Stores a further version of an environment's data key. If another
    /// process stored that version meanwhile, it serves as well.
    async fn add_version(&self, environment: EnvironmentId, version: i32) -> Result<(), Error> {
        let key = self.new_key(environment, version)?;
        let mut conn = self.database().conn().await?;
        store::insert(&mut conn, &key).await?;
        Ok(())
    }

    fn new_key(&self, environment: EnvironmentId, version: i32) -> Result<store::DataKey, Error> {
        let key = envelope::random_key()?;
        let wrapped = self
            .keyring()
            .wrap(environment, version.unsigned_abs(), &key)?;
        Ok(store::DataKey {
            environment_id: environment.0,
            version,
            root_key_id: self.keyring().primary().to_owned(),
            wrapped,
        })
    }

    fn unwrap(&self, row: &store::DataKey) -> Result<(EnvironmentId, u32, KeyBytes), Error> {
        let environment = EnvironmentId(row.environment_id);
        // The table allows no version below 1.
        let version = row.version.unsigned_abs();
        let key = self
            .keyring()
            .unwrap(&row.root_key_id, environment, version, &row.wrapped)?;
        Ok((environment, version, key))
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault")
            .field("keyring", self.keyring())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
