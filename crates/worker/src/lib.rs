//! The worker: claims jobs, runs them, settles them, and ticks schedules.
//!
//! It can be killed at any moment. What it held then runs again elsewhere once its
//! lease has run out; a worker that stood still for longer finds that what it
//! held was taken from it, and what it says about it is refused.

mod answer;
mod context;
mod failure;
mod foreign;
mod heart;
mod job;
mod keeper;
mod lease;
mod listen;
mod looks;
mod metrics;
mod registry;
mod runner;
mod running;
mod settler;

pub mod kinds;

pub use context::Context;
pub use failure::{Failure, Retry};
pub use lease::{Lease, NotHeld};
pub use registry::Registry;
pub use runner::{Running, Settings, start};
