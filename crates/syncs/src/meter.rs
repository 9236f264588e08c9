//! What is counted. docs/monitoring.md says what each means.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::counts;
use crate::run::INTERRUPTED;
use crate::sync::{CANCELLED, FAILED, SUCCEEDED};

const CHANGES: [&str; 4] = ["added", "updated", "deleted", "unchanged"];

/// Shows everything from a worker's start on, since what appears only with the
/// first run cannot be seen to rise by it.
pub fn announce() {
    for outcome in [SUCCEEDED, FAILED, CANCELLED, INTERRUPTED] {
        counter!("linkspan_sync_runs_total", "outcome" => outcome).increment(0);
    }
    for change in CHANGES {
        counter!("linkspan_sync_records_total", "change" => change).increment(0);
    }
    let _ = histogram!("linkspan_sync_run_duration_seconds");
}

pub(crate) fn ended(outcome: &'static str, took: Duration, result: &counts::Result) {
    counter!("linkspan_sync_runs_total", "outcome" => outcome).increment(1);
    histogram!("linkspan_sync_run_duration_seconds").record(took);
    let sum = |of: fn(&counts::Counts) -> u64| result.values().map(of).sum::<u64>();
    let counts = [
        sum(|one| one.added),
        sum(|one| one.updated),
        sum(|one| one.deleted),
        sum(|one| one.unchanged),
    ];
    for (change, count) in CHANGES.into_iter().zip(counts) {
        counter!("linkspan_sync_records_total", "change" => change).increment(count);
    }
}
