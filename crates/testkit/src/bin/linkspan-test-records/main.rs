//! Saves records of a connection as a sync would, for tests that are not in Rust:
//! a JSON array comes in, and what became of each record goes out.
#![allow(clippy::print_stdout, reason = "a program for a terminal")]

use std::fs;
use std::io::{Read as _, stdin};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use linkspan_records::{BASE, Outcome, Store, StreamName, Writer};
use linkspan_shared::db::{Connection, Database, Settings};
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_shared::vault::{Keyring, Vault};
use serde_json::json;
use serde_json::value::RawValue;
use tokio_postgres::types::{ToSql, Type};

/// Saves the records that come as a JSON array.
#[derive(Parser)]
struct Arguments {
    /// What is done with them.
    what: What,
    /// Where they are kept, and the connections.
    #[arg(long)]
    database_url: String,
    /// A file with the root key.
    #[arg(long)]
    root_key_file: PathBuf,
    /// The connection's id, which no other connection of the database has.
    #[arg(long)]
    connection: String,
    /// The model.
    #[arg(long)]
    model: String,
    /// The variant.
    #[arg(long, default_value = BASE)]
    variant: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum What {
    Save,
    Update,
    Delete,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut text = String::new();
    stdin().read_to_string(&mut text)?;
    let records: Vec<Box<RawValue>> = serde_json::from_str(&text)?;
    let name = stream(&arguments).await?;
    let outcome = carry_out(&arguments, &name, records).await?;
    println!(
        "{}",
        json!({
            "added": outcome.added,
            "updated": outcome.updated,
            "deleted": outcome.deleted,
            "unchanged": outcome.unchanged,
            "unknown": outcome.unknown,
            "duplicates": outcome.duplicates,
        })
    );
    Ok(())
}

/// The stream of the connection that has the id.
async fn stream(arguments: &Arguments) -> Result<StreamName> {
    let connection = Connection::connect(&arguments.database_url).await?;
    let sql = "SELECT environment_id, id FROM connections WHERE connection_id = $1";
    let id = (&arguments.connection as &(dyn ToSql + Sync), Type::TEXT);
    let found = connection.client().query_typed_one(sql, &[id]).await;
    let found = found.context("not one connection of this id")?;
    Ok(StreamName {
        environment: EnvironmentId(found.try_get(0)?),
        connection: found.try_get(1)?,
        model: arguments.model.clone(),
        variant: arguments.variant.clone(),
    })
}

async fn carry_out(
    arguments: &Arguments,
    name: &StreamName,
    records: Vec<Box<RawValue>>,
) -> Result<Outcome> {
    let db = Database::new(&Settings {
        url: arguments.database_url.clone().into(),
        max_connections: 2,
        timeout: Duration::from_secs(30),
    })?;
    let key = fs::read_to_string(&arguments.root_key_file).context("no root key")?;
    let store = Store::new(db.clone(), Vault::new(db, Keyring::parse(&[key.trim()])?));
    let writer = Writer::default();
    Ok(match arguments.what {
        What::Save => store.batch_save(name, records, writer).await?,
        What::Update => store.batch_update(name, records, writer).await?,
        What::Delete => store.batch_delete(name, records, writer).await?,
    })
}
