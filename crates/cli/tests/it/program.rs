//! A process of the program, with an environment of its own.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc;

/// Longest wait for anything that a process says or does.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process that is not started yet.
pub(crate) struct Program(Command);

/// How a process ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// A process that runs, until this value is dropped at the latest.
pub(crate) struct Running {
    child: Child,
    lines: mpsc::UnboundedReceiver<String>,
    output: Vec<String>,
}

/// The program with these arguments. Of this process's own environment it gets
/// what is not about Linkspan.
pub(crate) fn linkspan(arguments: &[&str]) -> Program {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkspan"));
    command
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("LINKSPAN_") {
            command.env_remove(name);
        }
    }
    Program(command)
}

impl Program {
    pub(crate) fn set(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    /// Lets it have no more than so many files open; it cannot raise that.
    pub(crate) fn limited_to_files(self, files: u64) -> Self {
        let program = self.0.as_std();
        let mut shell = Command::new("sh");
        let script = format!("ulimit -n {files}; exec \"$0\" \"$@\"");
        shell.arg("-c").arg(script).arg(program.get_program());
        shell.args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.stdin(Stdio::null()).kill_on_drop(true);
        Self(shell)
    }

    /// Runs it to its end.
    pub(crate) async fn run(mut self) -> Ended {
        let output = tokio::time::timeout(PATIENCE, self.0.output()).await;
        let output = output.expect("it ends in time").expect("it starts");
        Ended {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    pub(crate) fn start(mut self) -> Running {
        self.0.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.0.spawn().expect("it starts");
        let (sender, lines) = mpsc::unbounded_channel();
        forward(child.stdout.take().unwrap(), sender.clone());
        forward(child.stderr.take().unwrap(), sender);
        Running {
            child,
            lines,
            output: Vec::new(),
        }
    }
}

fn forward(from: impl AsyncRead + Unpin + Send + 'static, to: mpsc::UnboundedSender<String>) {
    let mut lines = BufReader::new(from).lines();
    tokio::spawn(async move {
        while let Ok(Some(line)) = lines.next_line().await {
            if to.send(line).is_err() {
                break;
            }
        }
    });
}

impl Ended {
    /// What a run that succeeded printed.
    pub(crate) fn printed(self) -> String {
        assert!(self.status.success(), "{self:?}");
        self.stdout
    }

    /// What a run that failed, as a program that knows what it does, said.
    pub(crate) fn refused(self) -> String {
        assert_eq!(self.status.code(), Some(1), "{self:?}");
        assert!(self.stderr.starts_with("error: "), "{self:?}");
        self.stderr
    }
}

impl Running {
    /// Waits for a line with this text, and gives it.
    pub(crate) async fn says(&mut self, text: &str) -> String {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.recv()).await;
            let Ok(Some(line)) = line else {
                panic!("it did not say {text:?}: {:#?}", self.output);
            };
            self.output.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
    }

    /// The first line with this text among those that it was waited for.
    pub(crate) fn said(&self, text: &str) -> Option<&str> {
        let mut lines = self.output.iter().map(String::as_str);
        lines.find(|line| line.contains(text))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().expect("it still runs")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let id = self.id();
        let pid = Pid::from_raw(id.try_into().unwrap()).unwrap();
        kill_process(pid, signal).expect("it still runs");
    }

    /// Waits for its end by a signal that it could not hear.
    pub(crate) async fn died(mut self) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.expect("it dies in time").unwrap();
        assert!(!status.success(), "{status}: {:#?}", self.output);
    }

    /// Waits for its end, and gives what it printed, line by line.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = status.expect("it ends in time").unwrap();
        while let Some(line) = self.lines.recv().await {
            self.output.push(line);
        }
        (status, self.output)
    }

    /// Sends a signal that it must end cleanly upon.
    pub(crate) async fn end_by(self, signal: Signal) -> Vec<String> {
        self.signal(signal);
        let (status, output) = self.ended().await;
        assert!(status.success(), "{status}: {output:#?}");
        output
    }
}
