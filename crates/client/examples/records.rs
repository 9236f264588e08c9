//! Follows what syncs save of a connection, change by change, until it is stopped.
//! The cursor that it prints with each goes on from there:
//!
//! ```sh
//! cargo run -p linkspan-client --example records INTEGRATION CONNECTION MODEL [CURSOR]
//! ```

use std::error::Error;

use futures_util::TryStreamExt;
use linkspan_client::Client;

#[expect(
    clippy::disallowed_methods,
    reason = "an example is a program of its own"
)]
fn setting(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let linkspan = Client::new(setting("LINKSPAN_URL")?, setting("LINKSPAN_API_KEY")?)?;
    let mut arguments = std::env::args().skip(1);
    let mut next = |what: &str| arguments.next().ok_or(format!("which {what}?"));
    let connection = linkspan.connection(next("integration")?, next("connection")?);
    let records = connection.records(next("model")?);
    let mut changes = records.changes();
    if let Ok(cursor) = next("cursor") {
        changes = changes.after(cursor);
    }
    let mut changes = changes.stream();
    while let Some(record) = changes.try_next().await? {
        let metadata = &record.metadata;
        println!(
            "{} {:?} {}",
            metadata.cursor, metadata.last_action, record.fields["id"]
        );
    }
    Ok(())
}
