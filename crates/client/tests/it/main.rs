//! The SDK against a running Linkspan, and against one that misbehaves.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot go on has failed"
)]

mod connections;
mod environments;
mod faults;
mod integrations;
mod logs;
mod misbehaving;
mod proxy;
mod records;
mod secrets;
mod syncs;

use linkspan_client::Client;
use linkspan_testkit::TestApp;

/// A client of the environment `dev`.
fn client(app: &TestApp) -> Client {
    Client::new(app.url(""), app.dev.api_key.clone()).unwrap()
}

/// A key for the API `private-api-bearer`, which the simulator accepts.
const API_KEY: &str = "demo-api-key";
