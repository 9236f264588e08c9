//! The promises of the jobs table, each held by a test against a real Postgres.

mod cancelling;
mod claiming;
mod fairness;
mod leases;
mod limits;
mod scheduling;
mod settling;
mod world;
