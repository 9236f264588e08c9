//! The program as its users run it: real processes, a real Postgres.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy exempts test functions, and not the functions they share"
)]

mod config;
mod crowd;
mod dev;
mod hmac;
mod installation;
mod jobs;
mod keys;
mod monitor;
mod program;
mod providers;
mod refresh;
mod server;
mod setup;
