//! A `linkspan-test-worker` that may be killed, stopped and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use uuid::Uuid;

/// How long a process may take to start, and to end.
const PATIENCE: Duration = Duration::from_secs(30);

/// How to start one.
#[derive(Debug, Clone)]
pub struct WorkerProgram {
    /// The program.
    pub path: PathBuf,
    /// Where its jobs are.
    pub url: SecretString,
    /// Where it listens, if it does.
    pub direct_url: Option<SecretString>,
    /// More arguments.
    pub arguments: Vec<String>,
    /// More of its environment.
    pub variables: Vec<(String, String)>,
}

/// A running worker process. It ends with this value.
pub struct WorkerProcess {
    child: Child,
    // Its end is the process's.
    _orders: ChildStdin,
    breakpoint: PathBuf,
    /// Its worker's id in the table.
    pub id: Uuid,
    /// Its clock when it started, in seconds since 1970.
    pub clock: u64,
}

impl WorkerProcess {
    /// Starts one; `breakpoint` is the file that says where it is to die.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(program: &WorkerProgram, breakpoint: &Path) -> Result<Self> {
        let mut command = Command::new(&program.path);
        command
            .args(["--database-url", program.url.expose_secret()])
            .arg("--breakpoint")
            .arg(breakpoint)
            .args(&program.arguments)
            .env_clear()
            .envs(program.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        if let Some(direct) = &program.direct_url {
            command.args(["--direct-url", direct.expose_secret()]);
        }
        let mut child = command.spawn().context("the worker cannot be started")?;
        let orders = child.stdin.take().context("no standard input")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await??;
        let line = line.context("the worker ended at its start")?;
        let mut words = line.split(' ').skip(1);
        let mut word = || words.next().with_context(|| line.clone());
        Ok(Self {
            id: word()?.parse()?,
            clock: word()?.parse()?,
            child,
            _orders: orders,
            breakpoint: breakpoint.to_owned(),
        })
    }

    /// Lets a process that has this file `kill` or `stop` itself at the next
    /// `point`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn arm(breakpoint: &Path, point: &str, what: &str) -> Result<()> {
        let whole = breakpoint.with_extension("new");
        fs::write(&whole, format!("{point} {what}"))?;
        Ok(fs::rename(whole, breakpoint)?)
    }

    /// Whether it has not come to its point yet.
    #[must_use]
    pub fn is_armed(&self) -> bool {
        self.breakpoint.exists()
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        let id = self.child.id().context("the worker is gone")?;
        let id = Pid::from_raw(i32::try_from(id)?).context("no process id")?;
        Ok(kill_process(id, signal)?)
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits for its end; whether it ended as it should after TERM.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn ended(&mut self) -> Result<bool> {
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => Ok(status?.success()),
            Err(_) => bail!("worker {} does not end", self.id),
        }
    }

    /// Lets it stop as a worker does, and hand back what it has.
    ///
    /// # Errors
    /// When it does not, or fails.
    pub async fn stop(mut self) -> Result<()> {
        self.signal(Signal::TERM)?;
        match self.ended().await? {
            true => Ok(()),
            false => bail!("worker {} failed", self.id),
        }
    }
}
