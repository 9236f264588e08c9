//! Tests of the core against a real Postgres.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy exempts test functions, and not the functions they share"
)]

mod config;
mod log_counts;
mod log_writer;
mod pooler;
mod schema;
mod vault;
