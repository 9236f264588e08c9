//! The recorder of this process, and what it prints.

use std::time::Duration;

use metrics::{describe_gauge, gauge};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

use crate::process;

/// Seconds of requests and calls. The first ones tell a call to an API in the
/// same data centre from one that waits; the last is longer than any time-out
/// that is set unless somebody changes it.
const REQUESTS: &[f64] = &[
    0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
];
/// Seconds of jobs, of which the runs of syncs are some: they may take hours.
const JOBS: &[f64] = &[
    0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3_600.0, 14_400.0,
];
const JOB_DURATIONS: [&str; 2] = [
    "linkspan_job_duration_seconds",
    "linkspan_sync_run_duration_seconds",
];

/// What histograms were told waits in memory until it is counted: 24 bytes each,
/// so that 50,000 calls a second hold some megabytes.
const COUNT_EVERY: Duration = Duration::from_secs(1);

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be recorded: {0}")]
pub struct InstallError(#[from] BuildError);

/// The recorder of this process. Cheap to clone.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Records from now on what this process tells the `metrics` facade. Must
    /// come before anything that makes handles, once in a process, and inside a
    /// tokio runtime.
    ///
    /// `linkspan_build_info` says `version`, and which `role` the process has:
    /// the name of its sub-command.
    ///
    /// # Errors
    /// When there is a recorder already.
    pub fn install(version: &'static str, role: &'static str) -> Result<Self, InstallError> {
        let mut builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), REQUESTS)?;
        for name in JOB_DURATIONS {
            builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), JOBS)?;
        }
        let handle = builder.install_recorder()?;
        describe_gauge!(
            "linkspan_build_info",
            "Always 1; the labels are the version and the role of the process."
        );
        gauge!("linkspan_build_info", "version" => version, "role" => role).set(1.0);
        let counted = handle.clone();
        tokio::spawn(async move {
            let mut every = tokio::time::interval(COUNT_EVERY);
            loop {
                every.tick().await;
                counted.run_upkeep();
            }
        });
        Ok(Self(handle))
    }

    /// Everything, in Prometheus' text format 0.0.4.
    pub(crate) fn render(&self) -> String {
        let mut text = self.0.render();
        process::render(&mut text);
        text
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
