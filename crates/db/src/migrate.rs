//! Applying migrations: one migrator at a time.

use diesel_async::{AsyncMigrationHarness, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness};
use secrecy::{ExposeSecret, SecretString};

use super::connection::Connection;

/// The key of the advisory lock that migrators hold.
const LOCK: i64 = 0x6c69_6e6b_7370_616e; // "linkspan"

/// Why migrating failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server is not there, or refuses us.
    #[error("cannot connect to migrate: {0}")]
    Connect(#[from] diesel::ConnectionError),
    /// The lock that keeps migrators apart could not be taken.
    #[error("cannot take the migration lock: {0}")]
    Lock(diesel::result::Error),
    /// A migration failed; what it did was rolled back.
    #[error("migration failed: {0}")]
    Apply(Box<dyn std::error::Error + Send + Sync>),
}

/// Applies what is pending of `migrations` and returns the names of what it
/// applied. Safe to run from many processes at once: one works, the others
/// wait and then find nothing to do. Needs a multi-threaded runtime.
///
/// # Errors
/// See [`Error`].
pub async fn run(url: &SecretString, migrations: EmbeddedMigrations) -> Result<Vec<String>, Error> {
    // The lock is held by a connection of its own, because the harness takes
    // its connection away, and by a transaction, which a pooler keeps on one
    // server; closing the connection releases it whatever happens.
    let mut lock = Connection::connect(url.expose_secret()).await?;
    let sql = format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK})");
    lock.batch_execute(&sql).await.map_err(Error::Lock)?;
    let conn = Connection::connect(url.expose_secret()).await?;
    let mut harness = AsyncMigrationHarness::new(conn);
    let applied = harness
        .run_pending_migrations(migrations)
        .map_err(Error::Apply)?;
    let applied = applied.iter().map(ToString::to_string).collect();
    drop(lock);
    Ok(applied)
}
