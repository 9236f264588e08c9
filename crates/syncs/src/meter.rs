//! What is counted. docs/monitoring.md says what each means.

use std::time::Duration;

use metrics::{counter, histogram};

use crate::counts;

pub(crate) fn ended(outcome: &'static str, took: Duration, result: &counts::Result) {
    counter!("linkspan_sync_runs_total", "outcome" => outcome).increment(1);
    histogram!("linkspan_sync_run_duration_seconds").record(took);
    let sum = |of: fn(&counts::Counts) -> u64| result.values().map(of).sum::<u64>();
    for (change, count) in [
        ("added", sum(|one| one.added)),
        ("updated", sum(|one| one.updated)),
        ("deleted", sum(|one| one.deleted)),
        ("unchanged", sum(|one| one.unchanged)),
    ] {
        counter!("linkspan_sync_records_total", "change" => change).increment(count);
    }
}
