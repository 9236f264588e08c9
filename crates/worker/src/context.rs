//! What a running job knows of itself.

use std::sync::{Arc, OnceLock};

use linkspan_jobs::Claimed;
use tokio_util::sync::CancellationToken;

/// Why a run is to end before it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Somebody cancelled the job.
    Cancelled,
    /// It runs longer than it may.
    Overtime,
    /// The worker stops, and hands it back.
    Stopping,
    /// It is another worker's by now.
    Lost,
}

/// Ends a run.
#[derive(Debug, Clone, Default)]
pub(crate) struct End {
    token: CancellationToken,
    why: Arc<OnceLock<Why>>,
}

impl End {
    /// Tells the run to end. The first reason counts.
    pub(crate) fn tell(&self, why: Why) {
        let _ = self.why.set(why);
        self.token.cancel();
    }

    pub(crate) async fn told(&self) {
        self.token.cancelled().await;
    }

    pub(crate) fn why(&self) -> Option<Why> {
        self.why.get().copied()
    }
}

/// What a running job knows of itself.
#[derive(Debug, Clone)]
pub struct Context {
    /// Its id.
    pub id: i64,
    /// Higher than that of every earlier claim: stores refuse a holder with a
    /// lower one.
    pub fence: i64,
    /// Which run this is; the first is 1.
    pub attempt: u16,
    /// Whose it is.
    pub tenant: Option<String>,
    /// The schedule that made it.
    pub schedule: Option<i64>,
    pub(crate) end: End,
}

impl Context {
    pub(crate) fn new(job: &Claimed, end: End) -> Self {
        Self {
            id: job.id,
            fence: job.fence,
            attempt: job.attempt,
            tenant: job.tenant.clone(),
            schedule: job.schedule,
            end,
        }
    }

    /// Completes when the run is to end: the job was cancelled, took too long, was
    /// lost, or the worker stops. A run that does not is dropped a few seconds
    /// later.
    pub async fn ending(&self) {
        self.end.told().await;
    }

    /// Whether the run is to end.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.end.why().is_some()
    }
}
