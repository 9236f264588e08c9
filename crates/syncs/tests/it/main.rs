//! Tests of syncs with a real Postgres, a real worker and native functions.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy exempts test functions, and not the functions they share"
)]

mod cancelling;
mod checkpoints;
mod deleting;
mod killed;
mod living;
mod restarted;
mod runs;
mod world;
