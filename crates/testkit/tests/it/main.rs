//! Worker processes that are killed, stopped, and left without a database.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod clock;
mod environments;
mod killed;
mod outage;
mod paused;
mod payload;
mod world;
