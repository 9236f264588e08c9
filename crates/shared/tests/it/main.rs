//! Tests of the core against a real Postgres.

mod config;
mod pooler;
mod schema;
mod vault;
