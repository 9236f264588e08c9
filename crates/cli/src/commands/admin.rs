//! `linkspan admin`.

mod hmac;

use std::path::Path;

use anyhow::{Result, bail};
use clap::Subcommand;
use linkspan_shared::db::Database;
use linkspan_shared::tenancy::bootstrap::{self, FirstKey};
use linkspan_shared::vault::Vault;
use secrecy::ExposeSecret;

use crate::environment;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create the first account with its environments `dev` and `prod`, and
    /// print an API key for each. Only on an empty database.
    Bootstrap {
        /// The account's name.
        #[arg(long, default_value = "default")]
        account: String,
    },
    /// The HMAC that says which connections a browser with the public key may
    /// make and replace.
    #[command(subcommand)]
    Hmac(hmac::Command),
}

pub(crate) async fn run(file: Option<&Path>, command: Command) -> Result<()> {
    let config = environment::config(file, &[])?;
    let db = Database::new(&config.control_database()?)?;
    let vault = Vault::new(db.clone(), config.keyring()?.clone());
    vault.check().await?;
    match command {
        Command::Bootstrap { account } => bootstrap(&db, &vault, &account).await,
        Command::Hmac(command) => hmac::run(&db, &vault, command).await,
    }
}

async fn bootstrap(db: &Database, vault: &Vault, account: &str) -> Result<()> {
    let Some(keys) = bootstrap::run(db, vault, account).await? else {
        bail!("this database has an account already; nothing was changed");
    };
    println!("Created account '{account}'. The API keys are shown only now:");
    for FirstKey {
        environment,
        api_key,
    } in keys
    {
        println!("  {:<5} {}", environment.name, api_key.expose_secret());
    }
    Ok(())
}
