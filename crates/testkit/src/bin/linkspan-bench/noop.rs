//! A job that does nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use linkspan_jobs::{Error, Kind, NewJob};
use linkspan_worker::Registry;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::UnboundedSender;

/// It does nothing, and says which one it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Noop {
    pub(crate) id: u64,
}

impl Kind for Noop {
    const NAME: &'static str = "bench.noop";
    const RUN_LIMIT: Duration = Duration::from_secs(60);
}

/// Accounts whose jobs take turns.
pub(crate) const ACCOUNTS: u64 = 100;

pub(crate) fn job(id: u64) -> Result<NewJob, Error> {
    let account = format!("account-{}", id % ACCOUNTS);
    Ok(NewJob::new(&Noop { id })?.group(account).tenant("bench"))
}

/// Counts runs.
pub(crate) fn counting(runs: &Arc<AtomicU64>) -> Registry {
    let runs = Arc::clone(runs);
    Registry::new().with(move |_: Noop, _| {
        runs.fetch_add(1, Ordering::Relaxed);
        async { Ok(()) }
    })
}

/// Tells of each run.
pub(crate) fn telling(of: UnboundedSender<u64>) -> Registry {
    Registry::new().with(move |job: Noop, _| {
        // Whoever listens may have heard enough.
        let _ = of.send(job.id);
        async { Ok(()) }
    })
}
