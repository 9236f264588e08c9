//! The core, put together as a configuration says.

use linkspan_net as net;

use crate::catalogue::{self, Templates};
use crate::config::{Config, Errors};
use crate::core::{Core, Settings};
use crate::db::Database;
use crate::logs::{self, Writer, WriterTask};
use crate::vault::Vault;
use crate::{db, vault};

/// Why the core could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that this needs is not set.
    #[error(transparent)]
    Config(#[from] Errors),
    /// A pool could not be made.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// The root keys are not those of this database, or it does not answer.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// A provider template is wrong.
    #[error(transparent)]
    Templates(#[from] catalogue::Error),
    /// The HTTP client's settings are wrong.
    #[error("{0}")]
    Client(String),
}

/// Puts the core together and checks that its root keys belong to its
/// database. Must run inside a tokio runtime, which the log writer stays on.
///
/// # Errors
/// See [`Error`].
pub async fn assemble(config: &Config) -> Result<(Core, WriterTask), Error> {
    let db = Database::new(&config.control_database()?)?;
    let records = Database::new(&config.records_database()?)?;
    let vault = Vault::new(db.clone(), config.keyring()?.clone()).with_records(records.clone());
    vault.check().await?;
    let (logs, task) = Writer::start(
        Database::new(&config.logs_database()?)?,
        logs::Settings {
            retention_days: config.logs.retention_days,
            operations_per_second: config.logs.operations_per_second,
        },
    );
    let core = Core::new(
        db,
        records,
        vault,
        Templates::read(config.providers.dir.as_deref())?,
        client(config)?,
        logs,
        Settings {
            public_url: config.server.public_url.clone(),
            connect_session_life: config.connect.session_ttl,
            flow_life: config.oauth.flow_ttl,
            token_timeout: config.oauth.token_timeout,
            cache_life: config.cache.ttl,
            refresh_lease: config.refresh.lease,
        },
    );
    Ok((core, task))
}

fn client(config: &Config) -> Result<net::Client, Error> {
    let policy = net::AddressPolicy::from_settings(&config.net.allow, &config.net.deny)
        .map_err(|error| Error::Client(error.to_string()))?;
    let extra_root_certificates = match &config.net.ca_file {
        None => Vec::new(),
        Some(file) => vec![std::fs::read(file).map_err(|error| {
            let file = file.display();
            Error::Client(format!("net.ca_file: cannot read {file}: {error}"))
        })?],
    };
    net::Client::new(net::Settings {
        policy,
        connect_timeout: config.net.connect_timeout,
        extra_root_certificates,
        ..net::Settings::default()
    })
    .map_err(|error| Error::Client(error.to_string()))
}
