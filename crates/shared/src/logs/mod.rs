//! The operation log: one row for each thing that Linkspan did for a
//! connection, with its messages inside.
//!
//! Requests hand an [`Operation`] to the [`Writer`] and go on; a task stores
//! them in batches. A kill loses what was handed over in the last half second,
//! and only that (docs/ARCHITECTURE.md, invariant 11).

mod operation;
pub mod read;
mod table;
mod writer;

pub use operation::{Kind, Level, Message, Operation, Status};
pub use writer::{Writer, WriterTask};
