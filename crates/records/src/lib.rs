//! The record store: what syncs save, compared with what is there, and read in
//! the order of its changes.
//!
//! A stream is one model and variant of one connection. Each record that
//! changes gets the next number of its stream's sequence, under the lock of the
//! stream's row: whoever sees a number sees every lower one, so that a reader
//! who follows cursors misses nothing. The numbers are microseconds since 1970,
//! raised where the clock has not moved on, which makes them times as well.

mod batch;
mod compare;
mod cursor;
mod drop;
mod error;
mod feed;
mod incoming;
mod json;
mod merge;
mod of_connections;
mod parallel;
mod payload;
mod plan;
mod prune;
mod read;
mod store;
mod stream;
mod take;
mod track;
mod write;

pub use batch::{Merging, Outcome, Writer};
pub use cursor::Cursor;
pub use error::{Error, MOST_BATCH_BYTES, MOST_BYTES, MOST_RECORDS};
pub use feed::{Feed, Watch};
pub use of_connections::LiveCount;
pub use prune::Pruned;
pub use read::{Action, Actions, Page, Query, Record};
pub use store::Store;
pub use stream::{BASE, Counts, StreamName};
pub use track::Tracking;
