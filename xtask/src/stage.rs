//! Steps of a long task: a heading, a time, and an end that cleans up.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Arrivals, SignalKind, signal};

use crate::workspace::shown;

/// How long an interrupted command may take to end by itself.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs steps until one fails or this process is told to end. From its making
/// on, Ctrl-C no longer kills this process: it ends the running step, and the
/// error takes the usual way out, past everything that needs stopping.
pub(crate) struct Stages {
    interrupt: Arrivals,
    terminate: Arrivals,
    hangup: Arrivals,
}

impl Stages {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Runs one command under a heading.
    pub(crate) async fn run(&mut self, heading: &str, command: &mut Command) -> Result<()> {
        println!("\n== {heading}: {}", shown(command.as_std()));
        let begun = Instant::now();
        let ended = self.run_to_end(command).await;
        let outcome = if ended.is_ok() { "passed" } else { "FAILED" };
        println!(
            "== {heading} {outcome} in {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        ended
    }

    /// The command gets a process group of its own: the terminal's Ctrl-C
    /// reaches this process alone, which ends the whole group.
    async fn run_to_end(&mut self, command: &mut Command) -> Result<()> {
        let name = shown(command.as_std());
        command
            .process_group(0)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        let status = tokio::select! {
            status = child.wait() => status?,
            () = self.told_to_end() => {
                end(&mut child).await;
                bail!("interrupted");
            }
        };
        if !status.success() {
            bail!("{name} failed ({status})");
        }
        Ok(())
    }

    async fn told_to_end(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

/// Interrupts a command with all that it started, and kills what stays.
async fn end(child: &mut Child) {
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    let Some(group) = group else { return };
    // A group that is gone is what was wanted.
    let _ = kill_process_group(group, Signal::INT);
    let _ = tokio::time::timeout(PATIENCE, child.wait()).await;
    let _ = kill_process_group(group, Signal::KILL);
}
