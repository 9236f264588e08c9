//! Tests of the record store against a real Postgres.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy exempts test functions, and not the functions they share"
)]

mod dropping;
#[cfg(target_os = "linux")]
mod full;
mod killed;
mod merging;
mod pruning;
mod reading;
mod rotating;
mod saving;
mod taking;
mod tracking;
mod world;
mod writers;
