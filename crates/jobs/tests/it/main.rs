//! The promises of the jobs table, each held by a test against a real Postgres.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy exempts test functions, and not the functions they share"
)]

mod cancelling;
mod claiming;
mod fairness;
mod leases;
mod limits;
mod scheduling;
mod settling;
mod tenants;
mod unknown;
mod world;
