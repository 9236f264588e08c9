//! The program that measures jobs, which prints what it found.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;

use crate::bench::plan::Plan;
use crate::workspace;

const PROGRAM: &str = "linkspan-bench";

/// The program, and the database that it measures on.
pub(in super::super) struct Jobs {
    program: PathBuf,
    url: String,
}

/// One that is still measuring.
pub(in super::super) struct Measuring(Child);

impl Jobs {
    pub(in super::super) fn build(plan: &Plan, url: String) -> Result<Self> {
        let mut build = workspace::cargo();
        build.args(["build", "--package", "linkspan-testkit", "--bin", PROGRAM]);
        workspace::run(build.args(plan.profile()))?;
        let program = plan.program_named(PROGRAM);
        Ok(Self { program, url })
    }

    /// Starts measuring; the arguments are the program's own.
    pub(in super::super) fn start(&self, arguments: &[&str]) -> Result<Measuring> {
        let mut command = Command::new(&self.program);
        command.args(["--url", &self.url]).args(arguments);
        let child = command.stdout(Stdio::piped()).spawn();
        let child = child.with_context(|| format!("cannot run {PROGRAM}"))?;
        Ok(Measuring(child))
    }

    /// Measures, and says what was found.
    pub(in super::super) fn measure<T: DeserializeOwned>(&self, arguments: &[&str]) -> Result<T> {
        self.start(arguments)?.found()
    }
}

impl Measuring {
    /// Waits for what is found.
    pub(in super::super) fn found<T: DeserializeOwned>(self) -> Result<T> {
        let output = self.0.wait_with_output()?;
        if !output.status.success() {
            bail!("{PROGRAM} failed ({})", output.status);
        }
        serde_json::from_slice(&output.stdout).with_context(|| format!("{PROGRAM} has no report"))
    }
}
