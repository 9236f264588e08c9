//! A process's health, readiness and metrics, on a port of its own: the port of
//! the API is for everybody, and what metrics tell is not.
//!
//! - `GET /health`: 200 while the process runs.
//! - `GET /ready`: 200 while it can do its work, else 503 with the reason as
//!   JSON; 503 at once from the moment it is told to stop.
//! - `GET /metrics`: Prometheus' text format, version 0.0.4.
//!
//! Who records uses the `metrics` facade and knows nothing of this crate. A
//! handle that is made before [`Metrics::install`] records nothing, so that is
//! the first thing that a process does; one that never installs it pays nothing.

mod listener;
mod metrics;
mod process;

pub use listener::{Monitor, Probe, StartError};
pub use metrics::{InstallError, Metrics};
