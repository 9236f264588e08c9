//! Which migrations there are; [`linkspan_db::migrate`] applies them.

use diesel_migrations::{EmbeddedMigrations, embed_migrations};
use secrecy::SecretString;

pub use linkspan_db::migrate::Error;

/// Tenancy, integrations, connections, keys, jobs.
const CONTROL: EmbeddedMigrations = embed_migrations!("../../migrations/control");
/// What syncs have saved.
const RECORDS: EmbeddedMigrations = embed_migrations!("../../migrations/records");
/// Operations.
const LOGS: EmbeddedMigrations = embed_migrations!("../../migrations/logs");

/// Which group of tables to migrate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Tenancy, integrations, connections, keys, jobs.
    Control,
    /// What syncs have saved.
    Records,
    /// Operations.
    Logs,
}

/// Applies what is pending of a group and returns the names of what it applied.
///
/// # Errors
/// See [`Error`].
pub async fn run(url: &SecretString, group: Group) -> Result<Vec<String>, Error> {
    let migrations = match group {
        Group::Control => CONTROL,
        Group::Records => RECORDS,
        Group::Logs => LOGS,
    };
    linkspan_db::migrate::run(url, migrations).await
}
