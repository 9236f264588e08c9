//! How long and how often a benchmark measures, and of which build.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use crate::workspace;

/// A run of a benchmark.
#[derive(Debug)]
pub(super) struct Plan {
    /// The folder that cargo builds into.
    pub(super) target: PathBuf,
    /// The program that is measured.
    pub(super) program: PathBuf,
    /// Measurements of each; the median counts.
    pub(super) rounds: usize,
    /// Of load in a round.
    pub(super) round: Duration,
    /// Of load before the first round, which fills caches and pools.
    pub(super) warm_up: Duration,
    /// Of the large body, in bytes.
    pub(super) large: u64,
    /// That an idle server is watched for.
    pub(super) idle: Duration,
    /// Records that are saved and read.
    pub(super) records: usize,
    /// That latencies are measured at, in requests a second.
    pub(super) rates: Vec<f64>,
    /// That wait while jobs are measured.
    pub(super) waiting: &'static [u64],
    /// Jobs in a round.
    pub(super) jobs: u64,
    pub(super) schedules: u64,
}

/// Up to where two cores are full with load, upstream, server and database.
const RATES: [f64; 5] = [1_000.0, 5_000.0, 10_000.0, 15_000.0, 20_000.0];

impl Plan {
    /// Says how to measure.
    pub(super) fn new(
        is_smoke: bool,
        rounds: Option<usize>,
        rates: &[f64],
        records: Option<usize>,
    ) -> Result<Self> {
        let target = workspace::target()?;
        let rates = match (rates, is_smoke) {
            ([], true) => vec![100.0],
            ([], false) => RATES.to_vec(),
            (rates, _) => rates.to_vec(),
        };
        let seconds = Duration::from_secs;
        let program = |profile| target.join(profile).join("linkspan");
        Ok(if is_smoke {
            Self {
                program: program("debug"),
                rounds: rounds.unwrap_or(1),
                round: seconds(1),
                warm_up: seconds(1),
                large: 64 << 20,
                idle: seconds(3),
                records: records.unwrap_or(2_000),
                rates,
                waiting: &[1_000, 5_000],
                jobs: 2_000,
                schedules: 3_000,
                target,
            }
        } else {
            Self {
                program: program("release"),
                rounds: rounds.unwrap_or(5),
                round: seconds(5),
                warm_up: seconds(2),
                large: 1 << 30,
                idle: seconds(60),
                records: records.unwrap_or(1_000_000),
                rates,
                waiting: &[1_000, 1_000_000, 10_000_000],
                jobs: 100_000,
                schedules: 100_000,
                target,
            }
        })
    }

    /// Builds the program.
    pub(super) fn build_program(&self) -> Result<()> {
        let mut build = workspace::cargo();
        build.args(["build", "--package", "linkspan-cli"]);
        workspace::run(build.args(self.profile()))
    }

    /// What cargo is told of optimising.
    pub(super) fn profile(&self) -> &'static [&'static str] {
        if self.program.starts_with(self.target.join("release")) {
            &["--release"]
        } else {
            &[]
        }
    }

    /// Another program of the same build.
    pub(super) fn program_named(&self, name: &str) -> PathBuf {
        self.program.with_file_name(name)
    }
}
