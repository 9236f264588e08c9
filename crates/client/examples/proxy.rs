//! Calls an API through a connection, and streams a long answer. Run
//! `first_success` before, then this with the same settings.

use std::error::Error;

use futures_util::TryStreamExt;
use linkspan_client::{Client, Method};
use serde_json::Value;

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
    let mut connections = linkspan
        .connections()
        .list()
        .integration("demo")
        .limit(1)
        .send()
        .await?;
    let connection = connections
        .pop()
        .ok_or("run the example first_success first")?;
    let demo = linkspan.connection("demo", connection.connection_id);

    let items = demo
        .proxy(Method::GET, "/api/items")
        .query("per_page", 3)
        .retries(2)
        .send()
        .await?
        .error_for_status()
        .await?;
    println!("{:#}", items.json::<Value>().await?);

    let long = demo
        .proxy(Method::GET, "/api/stream")
        .query("chunks", 5)
        .send()
        .await?;
    let mut pieces = long.error_for_status().await?.stream();
    while let Some(piece) = pieces.try_next().await? {
        print!("{}", String::from_utf8_lossy(&piece));
    }
    Ok(())
}
