//! Tests of the core against a real Postgres.

mod config;
mod vault;
