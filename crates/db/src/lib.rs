//! Postgres: the one connection type that every query goes through, pools of it,
//! and the running of migrations. It knows no table.

use std::time::Duration;

use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use secrecy::{ExposeSecret, SecretString};

mod connection;
mod error;
mod listener;
pub mod migrate;
mod row;
mod tls;

pub use connection::{Connection, scalar};
pub use error::Error;
pub use listener::Listener;

/// A connection lent by the pool; it goes back when dropped, and is closed
/// instead if a transaction was left open on it.
pub type Lent = Object<Connection>;

/// Closes a connection that is not to be used again, instead of giving it back.
pub fn discard(lent: Lent) {
    drop(Lent::take(lent));
}

/// How to reach one group of tables.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A `postgres://` URL; it may carry a password.
    pub url: SecretString,
    /// Most connections open at once.
    pub max_connections: usize,
    /// How long a caller waits for a free connection, and a new connection for
    /// the server, before it fails.
    pub timeout: Duration,
}

/// How a pool is used at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Connections that it may have open.
    pub limit: usize,
    /// Connections that it has open.
    pub open: usize,
    /// Those of them that nobody uses.
    pub idle: usize,
    /// Callers who wait for one.
    pub waiting: usize,
}

/// A pool of connections to one group of tables. Cheap to clone.
#[derive(Clone)]
pub struct Database {
    pool: Pool<Connection>,
}

impl Database {
    /// Makes a pool. Nothing is connected until the first query, so that a
    /// server starts while its database is still coming up.
    ///
    /// # Errors
    /// When the pool cannot be built, which only wrong settings can cause.
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let mut config = ManagerConfig::default();
        config.recycling_method = RecyclingMethod::Fast;
        let manager = AsyncDieselConnectionManager::<Connection>::new_with_config(
            settings.url.expose_secret(),
            config,
        );
        let pool = Pool::builder(manager)
            .max_size(settings.max_connections)
            .wait_timeout(Some(settings.timeout))
            .create_timeout(Some(settings.timeout))
            .runtime(deadpool::Runtime::Tokio1)
            .build()
            .map_err(|e| Error::Unavailable(e.to_string()))?;
        Ok(Self { pool })
    }

    /// Lends a connection.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when none becomes free in time, or Postgres
    /// cannot be reached.
    pub async fn conn(&self) -> Result<Lent, Error> {
        self.pool
            .get()
            .await
            .map_err(|e| Error::Unavailable(e.to_string()))
    }

    /// How the pool is used now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let status = self.pool.status();
        Usage {
            limit: status.max_size,
            open: status.size,
            idle: status.available,
            waiting: status.waiting,
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when it cannot be reached in time.
    pub async fn ping(&self) -> Result<(), Error> {
        let conn = self.conn().await?;
        connection::scalar::<i32>(&conn, "SELECT 1").await?;
        Ok(())
    }

    /// Closes the pool; connections that are lent out close when they return.
    pub fn close(&self) {
        self.pool.close();
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}
