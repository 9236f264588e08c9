//! The jobs table in Postgres: what must happen after a commit is a row written
//! in the same transaction, and workers poll for it.
//!
//! A job is [enqueued](enqueue()), made ready when it is due, [claimed](claim())
//! by a worker in a short transaction, run with no transaction open, and
//! [settled](settle()) under the fence of the claim. A worker that dies or stands
//! still loses its jobs to [`recover`]; what it writes afterwards is refused.
//! The clock is the database's everywhere. This crate knows no kind of job; the
//! worker has those. `docs/jobs.md` has the guarantees.

pub mod cancel;
pub mod claim;
pub mod clean;
pub mod dead;
pub mod enqueue;
mod error;
pub mod kind;
pub mod lease;
pub mod limits;
pub mod promote;
pub mod schedules;
pub mod settle;
pub mod stats;
pub mod tenant;
pub mod unknown;
pub mod wake;

pub use claim::{Claimed, claim};
pub use enqueue::{Enqueued, NewJob, enqueue};
pub use error::Error;
pub use kind::{Kind, Priority};
pub use lease::recover;
pub use settle::{Outcome, Settled, Settlement, settle, settle_knowing};
pub use wake::Waker;
