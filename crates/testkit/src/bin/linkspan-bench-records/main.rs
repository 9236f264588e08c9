//! What `cargo xtask bench records` measures: saving and reading records beside
//! COPY and a plain upsert of the same rows. Prints a JSON object a line, of each
//! figure; its arguments are the URL of an empty database and how many records.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has failed"
)]

mod reference;
mod sample;
mod store;

use anyhow::{Context, Result};
use linkspan_shared::db::migrate::{self, Group};
use secrecy::SecretString;

/// Prints a figure.
fn figure(name: &str, value: f64, reference: Option<f64>) {
    let unit = "records/s";
    println!(
        "{}",
        serde_json::json!({ "name": name, "value": value, "unit": unit, "reference": reference })
    );
}

#[tokio::main]
async fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url: SecretString = arguments.next().context("which database?")?.into();
    let count: usize = arguments.next().context("how many records?")?.parse()?;
    for group in [Group::Control, Group::Records] {
        migrate::run(&url, group).await?;
    }
    let copied = reference::measure(&url, count).await?;
    figure("records.copy", copied.whole, None);
    figure("records.copy_pages_1000", copied.pages, None);
    figure("records.insert_on_conflict", copied.upsert, None);
    figure(
        "records.insert_on_conflict_again",
        copied.upsert_again,
        None,
    );
    store::measure(&url, count, &copied).await
}
