//! Tests of syncs with a real Postgres, a real worker and native functions.

mod cancelling;
mod checkpoints;
mod deleting;
mod living;
mod runs;
mod world;
