//! The operation log: one row for each thing that Linkspan did for a
//! connection, with its messages inside.
//!
//! Requests hand an [`Operation`] to the [`Writer`] and go on; a task stores
//! them in batches. Of an environment's plain successes so many a second are
//! stored, and the rest is counted. A kill loses what was handed over in the last
//! half second, and only that (docs/ARCHITECTURE.md, invariant 11).

mod budget;
pub mod counted;
mod operation;
pub mod read;
mod table;
mod writer;

pub use operation::{Kind, Level, Message, Operation, Status};
pub use writer::{Settings, Writer, WriterTask};
