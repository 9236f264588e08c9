//! What is counted. docs/monitoring.md says what each means.

use std::time::Duration;

use linkspan_jobs::Outcome;
use linkspan_jobs::schedules::Tick;
use linkspan_jobs::stats::InState;
use metrics::{counter, gauge, histogram};

pub(crate) fn started(kind: &str, waited: Duration) {
    histogram!("linkspan_job_start_delay_seconds", "kind" => kind.to_owned()).record(waited);
}

pub(crate) fn ended(kind: &str, outcome: Option<&Outcome>, took: Duration) {
    let kind = kind.to_owned();
    let outcome = outcome.map_or("lost", Outcome::as_str);
    histogram!("linkspan_job_duration_seconds", "kind" => kind.clone()).record(took);
    counter!("linkspan_jobs_finished_total", "kind" => kind, "outcome" => outcome).increment(1);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are of floating point")]
pub(crate) fn slots(all: usize, busy: usize) {
    gauge!("linkspan_worker_slots").set(all as f64);
    gauge!("linkspan_worker_slots_busy").set(busy as f64);
}

#[expect(clippy::cast_precision_loss, reason = "gauges are of floating point")]
pub(crate) fn counted(states: &[InState]) {
    for one in states {
        let count = one.count as f64;
        match one.state.as_str() {
            "delayed" => gauge!("linkspan_jobs_delayed").set(count),
            "ready" => {
                gauge!("linkspan_jobs_ready").set(count);
                gauge!("linkspan_jobs_oldest_ready_seconds").set(one.oldest.unwrap_or(0.0));
            }
            "parked" => gauge!("linkspan_jobs_parked").set(count),
            "running" => gauge!("linkspan_jobs_running").set(count),
            _ => gauge!("linkspan_jobs_dead").set(count),
        }
    }
}

pub(crate) fn ticked(tick: &Tick) {
    for late in &tick.lateness {
        histogram!("linkspan_schedule_lateness_seconds").record(*late);
    }
}
