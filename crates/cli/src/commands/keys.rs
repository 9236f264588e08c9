//! `linkspan keys`.

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;
use linkspan_shared::db::Database;
use linkspan_shared::vault::{Keyring, Vault};
use secrecy::ExposeSecret;

use crate::{environment, logging};

/// What to do with keys.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print a new root key for vault.root_keys.
    Generate {
        /// The key's id: 1 to 32 of a-z, 0-9 and -.
        #[arg(default_value = "main")]
        id: String,
    },
    /// Wrap every data key with the first root key of the keyring. Servers go
    /// on serving.
    Rotate {
        /// Also make new data keys and re-encrypt every stored secret.
        #[arg(long)]
        data: bool,
    },
}

pub(crate) async fn run(file: Option<&Path>, command: Command) -> Result<()> {
    match command {
        Command::Generate { id } => {
            let entry = Keyring::generate(&id)?;
            if Keyring::parse(&[entry.expose_secret()]).is_err() {
                anyhow::bail!("'{id}' cannot be a key's id: use 1 to 32 of a-z, 0-9 and -");
            }
            println!("{}", entry.expose_secret());
            Ok(())
        }
        Command::Rotate { data } => rotate(file, data).await,
    }
}

async fn rotate(file: Option<&Path>, data: bool) -> Result<()> {
    let config = environment::config(file, &[])?;
    logging::start(&config)?;
    let db = Database::new(&config.control_database()?)?;
    let records = Database::new(&config.records_database()?)?;
    let vault = Vault::new(db, config.keyring()?.clone()).with_records(records);
    vault.check().await?;
    let root = vault.rotate_root().await?;
    println!("{} data keys wrapped anew", root.rewrapped);
    if data {
        println!("making new data keys; waiting until every server knows them…");
        let report = vault
            .rotate_data(|report| println!("{} values re-encrypted…", report.resealed))
            .await?;
        println!(
            "{} environments have a new data key; {} values re-encrypted, {} were replaced meanwhile",
            report.environments, report.resealed, report.overtaken
        );
        if report.unreadable > 0 {
            anyhow::bail!(
                "{} values could not be opened and were left as they are; the log names them",
                report.unreadable
            );
        }
    }
    Ok(())
}
