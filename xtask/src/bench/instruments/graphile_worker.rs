//! graphile-worker, the reference for jobs: workers of it on a database of its
//! own, set up as its own performance test does.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::postgres::ask;
use crate::programs::check_node;
use crate::test::installed;
use crate::workspace;

/// As many processes as cores: one of them alone is slower.
const PROCESSES: u64 = 2;

/// graphile-worker, installed as the lock file says.
pub(in super::super) struct GraphileWorker {
    folder: PathBuf,
    url: String,
}

/// How its workers fetch jobs and say that they are done.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Fetching {
    /// 500 at once, and many completions in a statement.
    Queue,
    /// One by one, as it does unless told otherwise.
    Plain,
}

#[derive(Deserialize)]
struct Added {
    enqueued_per_s: f64,
}

#[derive(Deserialize)]
struct Worked {
    began_ms: f64,
    ended_ms: f64,
    ran: u64,
}

/// From adding a job to its start.
#[derive(Debug, Deserialize)]
pub(in super::super) struct Latency {
    pub(in super::super) p50_ms: f64,
    pub(in super::super) p99_ms: f64,
}

impl GraphileWorker {
    /// Installs it, and gives it a database.
    pub(in super::super) fn install(admin: &str, url: String) -> Result<Self> {
        check_node()?;
        let folder = workspace::root().join("xtask/reference/graphile-worker");
        if !installed(&folder) {
            let mut npm = Command::new("npm");
            npm.args(["ci", "--no-audit", "--no-fund"]);
            workspace::read(npm.current_dir(&folder))?;
        }
        ask(admin, "CREATE DATABASE graphile_worker")?;
        Ok(Self { folder, url })
    }

    /// Adds jobs; how many a second.
    pub(in super::super) fn add(&self, count: u64) -> Result<f64> {
        let added: Added = report(self.start("add", count)?)?;
        Ok(added.enqueued_per_s)
    }

    /// Runs jobs; how many a second.
    pub(in super::super) fn work(&self, fetching: Fetching, count: u64) -> Result<f64> {
        let what = match fetching {
            Fetching::Queue => "queue",
            Fetching::Plain => "plain",
        };
        let started: Vec<Child> = (0..PROCESSES)
            .map(|_| self.start(what, count / PROCESSES))
            .collect::<Result<_>>()?;
        let worked: Vec<Worked> = started.into_iter().map(report).collect::<Result<_>>()?;
        let began = worked
            .iter()
            .map(|one| one.began_ms)
            .fold(f64::MAX, f64::min);
        let ended = worked
            .iter()
            .map(|one| one.ended_ms)
            .fold(f64::MIN, f64::max);
        let ran: u64 = worked.iter().map(|one| one.ran).sum();
        Ok(ran as f64 * 1e3 / (ended - began))
    }

    pub(in super::super) fn latency(&self, count: u64) -> Result<Latency> {
        report(self.start("latency", count)?)
    }

    fn start(&self, what: &str, count: u64) -> Result<Child> {
        let mut node = Command::new("node");
        node.args(["worker.mjs", what, &self.url, &count.to_string()]);
        node.current_dir(&self.folder).env("NO_LOG_SUCCESS", "1");
        node.stdout(Stdio::piped())
            .spawn()
            .context("cannot run node")
    }
}

/// The last line that it prints; others are its log.
fn report<T: DeserializeOwned>(child: Child) -> Result<T> {
    let output = child.wait_with_output()?;
    if !output.status.success() {
        bail!("graphile-worker failed ({})", output.status);
    }
    let text = String::from_utf8(output.stdout)?;
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).context("graphile-worker has no report")
}
