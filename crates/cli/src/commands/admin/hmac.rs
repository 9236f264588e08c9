//! `linkspan admin hmac`.

use anyhow::{Result, bail};
use clap::Subcommand;
use linkspan_shared::db::Database;
use linkspan_shared::public_key;
use linkspan_shared::tenancy::environments::Environment;
use linkspan_shared::vault::Vault;
use secrecy::ExposeSecret;

use crate::terminal::say;

/// What to do. An environment goes by its name, or, where several accounts
/// have one of that name, by its public key.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print the environment's public key, its HMAC key, and whether an HMAC is
    /// required.
    Show {
        /// The environment's name or public key.
        environment: String,
    },
    /// Make a new HMAC key and print it. What the old one signed is refused
    /// from then on.
    Rotate {
        /// The environment's name or public key.
        environment: String,
    },
    /// Refuse browsers that come with the public key and without an HMAC.
    Require {
        /// The environment's name or public key.
        environment: String,
    },
    /// Let the public key make connections without an HMAC. It still replaces
    /// none without one.
    Waive {
        /// The environment's name or public key.
        environment: String,
    },
}

pub(super) async fn run(db: &Database, vault: &Vault, command: Command) -> Result<()> {
    match command {
        Command::Show { environment } => show(db, vault, &find(db, &environment).await?).await,
        Command::Rotate { environment } => rotate(db, vault, &find(db, &environment).await?).await,
        Command::Require { environment } => {
            let environment = find(db, &environment).await?;
            public_key::require_hmac(db, environment.id, true).await?;
            let name = &environment.name;
            say(format!(
                "The public key of '{name}' needs an HMAC beside it from now on."
            ));
            if public_key::key(db, vault, environment.id).await?.is_none() {
                say(no_key(name));
            }
            Ok(())
        }
        Command::Waive { environment } => {
            let environment = find(db, &environment).await?;
            public_key::require_hmac(db, environment.id, false).await?;
            say(format!(
                "The public key of '{}' makes connections without an HMAC from now on. \
                 It replaces none without one.",
                environment.name
            ));
            Ok(())
        }
    }
}

async fn find(db: &Database, wanted: &str) -> Result<Environment> {
    let mut conn = db.conn().await?;
    let all = Environment::all(&mut conn).await?;
    let known: Vec<_> = all.iter().map(|each| each.name.clone()).collect();
    let is_it = |each: &Environment| each.name == wanted || each.public_key.to_string() == wanted;
    let mut found = all.into_iter().filter(is_it);
    match (found.next(), found.next()) {
        (Some(environment), None) => Ok(environment),
        (Some(_), Some(_)) => {
            bail!("several accounts have an environment '{wanted}': name its public key instead")
        }
        (None, _) if known.is_empty() => {
            bail!("this database has no account yet: run `linkspan admin bootstrap` first")
        }
        (None, _) => bail!(
            "there is no environment '{wanted}'; there are: {}",
            known.join(", ")
        ),
    }
}

async fn show(db: &Database, vault: &Vault, environment: &Environment) -> Result<()> {
    let is_required = public_key::is_hmac_required(db, environment.id).await?;
    let required = if is_required { "yes" } else { "no" };
    let key = public_key::key(db, vault, environment.id).await?;
    say(format!("environment    {}", environment.name));
    say(format!("public key     {}", environment.public_key));
    say(format!("HMAC required  {required}"));
    match key {
        Some(key) => say(format!("HMAC key       {}", key.expose_secret())),
        None => say(no_key(&environment.name)),
    }
    Ok(())
}

fn no_key(environment: &str) -> String {
    format!(
        "There is no HMAC key, so that nobody can make an HMAC: \
         `linkspan admin hmac rotate {environment}` makes one."
    )
}

async fn rotate(db: &Database, vault: &Vault, environment: &Environment) -> Result<()> {
    let key = public_key::rotate(db, vault, environment.id).await?;
    say(format!(
        "The new HMAC key of '{}'. What an older one signed is refused from now on.",
        environment.name
    ));
    say(format!("  {}", key.expose_secret()));
    Ok(())
}
