//! A database per test, and a running app to drive; used only from tests.
//!
//! `cargo xtask test` provides the Postgres that this needs.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that cannot be set up has failed"
)]

mod app;
mod database;
mod own;
mod process;
mod relocate;
pub mod upstream;
pub mod workload;

pub use app::{AnotherServer, Reply, TestApp};
pub use database::TestDatabase;
pub use own::OwnPostgres;
pub use process::{WorkerProcess, WorkerProgram};
pub use relocate::{relocate, relocated};
