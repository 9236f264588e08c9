//! The life of a sync: one connection, function and variant, whose runs save
//! records.
//!
//! A sync is made for each function when a connection comes, has a schedule, and
//! runs as a job whose fence is what its records and checkpoints are written under.
//! Of each sync one run is alive at most, since its scheduled and its other runs
//! share a unique key. Whatever changes a sync locks its row first, then its
//! schedule, then its jobs. `docs/syncs.md` is the manual.

mod arrange;
pub mod checkpoint;
mod command;
mod context;
mod counts;
mod error;
mod frequency;
mod function;
pub mod functions;
mod meter;
mod run;
mod select;
mod status;
mod sync;
mod variant;

pub use arrange::arrange;
pub use command::{Opts, again, cancel, pause, start, trigger};
pub use context::{Facts, Log, RunContext};
pub use counts::{Counts, Result as RunResult};
pub use error::Error;
pub use frequency::set as set_frequency;
pub use function::{Failure, Function, Functions, Natives, Running, SyncFunction, native};
pub use functions::{Definition, Recorded, is_name};
pub use meter::announce as announce_metrics;
pub use run::{Claim, Ended, Stop, Stopping, run};
pub use select::{Name, Scope};
pub use status::{Execution, State, Status, status};
pub use sync::{Again, Leave, Reason, RunSync};
pub use variant::{create as create_variant, delete as delete_variant, leave};
