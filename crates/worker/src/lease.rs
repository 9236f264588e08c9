//! Whether a worker holds its lease, for whoever asks from outside.

use std::sync::Arc;
use std::time::Duration;

use crate::runner::Worker;

/// A worker's lease. Cheap to clone; it may outlive its worker, whose lease then runs
/// out.
#[derive(Clone)]
pub struct Lease(pub(crate) Arc<Worker>);

/// Why a worker may not count on its lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// It never got one.
    #[error("the worker has no lease yet: it could not write to jobs.workers")]
    Never,
    /// The last try failed, and it still has some time.
    #[error("the worker's lease could not be renewed; it is tried again until it has run out")]
    Missing,
    /// Others may have its jobs.
    #[error(
        "the worker's lease has run out, {} s after it was renewed: its jobs are others' by now",
        .0.as_secs()
    )]
    Lost(Duration),
}

impl Lease {
    /// Whether it was renewed when it was last tried, and has not run out since.
    ///
    /// # Errors
    /// [`NotHeld`], in words for whoever operates the worker.
    pub fn is_held(&self) -> Result<(), NotHeld> {
        let jobs = &self.0.jobs;
        match jobs.since_beat() {
            None => Err(NotHeld::Never),
            Some(since) if since >= self.0.settings.lease => Err(NotHeld::Lost(since)),
            Some(_) if jobs.is_beat_missing() => Err(NotHeld::Missing),
            Some(_) => Ok(()),
        }
    }
}

impl std::fmt::Debug for Lease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Lease").field(&self.0.id).finish()
    }
}
