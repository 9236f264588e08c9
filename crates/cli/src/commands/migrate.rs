//! `linkspan migrate`.

use std::path::Path;

use anyhow::Result;
use linkspan_shared::config::Config;
use linkspan_shared::db::migrate::{self, Group};

use crate::environment;

pub(crate) async fn run(file: Option<&Path>) -> Result<()> {
    let config = environment::config(file, &[])?;
    let applied = apply(&config).await?;
    for name in &applied {
        println!("applied {name}");
    }
    if applied.is_empty() {
        println!("nothing to apply: the tables are up to date");
    }
    Ok(())
}

/// Applies what is pending of all groups of tables.
pub(super) async fn apply(config: &Config) -> Result<Vec<String>> {
    let mut applied = migrate::run(config.direct_url()?, Group::Control).await?;
    applied.extend(migrate::run(config.records_direct_url()?, Group::Records).await?);
    applied.extend(migrate::run(config.logs_direct_url()?, Group::Logs).await?);
    Ok(applied)
}
