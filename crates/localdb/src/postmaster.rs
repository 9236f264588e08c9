//! The postmaster process: what `postmaster.pid` says, and signals.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::Error;
use crate::error::io;

/// How long a postmaster may take to end its sessions and write a checkpoint.
pub(crate) const FAST_SHUTDOWN: Duration = Duration::from_secs(30);
/// How long it may take to drop everything.
pub(crate) const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(5);

/// What a running postmaster writes about itself (Postgres' `pidfile.h`): its
/// process id on line 1, its port on 4, its state on 8.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: i32,
    pub(crate) ready: bool,
}

impl PidFile {
    pub(crate) fn read(cluster: &Path) -> Option<Self> {
        Self::parse(&std::fs::read_to_string(cluster.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        let pid = lines.first()?.parse().ok().filter(|pid| *pid > 1)?;
        Some(Self {
            pid,
            ready: lines.get(7) == Some(&"ready"),
        })
    }
}

/// Sends a signal. A process that is gone is no error: it is what was wanted.
pub(crate) fn signal(pid: i32, signal: Signal) {
    if let Some(pid) = Pid::from_raw(pid) {
        let _ = rustix::process::kill_process(pid, signal);
    }
}

/// Stops the postmaster that a killed run left, and removes a `postmaster.pid`
/// that names no postmaster of this cluster: its number may by now belong to
/// another process, and Postgres would refuse to start.
pub(crate) fn stop_leftover(cluster: &Path) -> Result<(), Error> {
    let file = cluster.join("postmaster.pid");
    if let Some(PidFile { pid, .. }) = PidFile::read(cluster) {
        let steps = [
            (Signal::INT, FAST_SHUTDOWN),
            (Signal::QUIT, IMMEDIATE_SHUTDOWN),
            (Signal::KILL, IMMEDIATE_SHUTDOWN),
        ];
        for (step, patience) in steps {
            if !serves(pid, cluster) {
                break;
            }
            signal(pid, step);
            wait_until(patience, || !serves(pid, cluster));
        }
        if serves(pid, cluster) {
            return Err(Error::NotStopped { pid });
        }
    }
    match std::fs::remove_file(&file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(io("remove", &file)(error))
        }
        _ => Ok(()),
    }
}

/// Whether a process is a postmaster of this cluster: alive, with the
/// cluster's path among its arguments, where [`crate::LocalPostgres`] puts it.
pub(crate) fn serves(pid: i32, cluster: &Path) -> bool {
    let arguments = if Path::new("/proc/self/cmdline").exists() {
        std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default()
    } else {
        let listed = Command::new("ps")
            .args(["-o", "args=", "-p", &pid.to_string()])
            .output();
        listed.map(|output| output.stdout).unwrap_or_default()
    };
    String::from_utf8_lossy(&arguments).contains(&*cluster.to_string_lossy())
}

fn wait_until(patience: Duration, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + patience;
    while !condition() && Instant::now() < deadline {
        pause();
    }
}

/// Between two looks at a process that is not our child, which nothing else
/// announces the end of.
#[expect(
    clippy::disallowed_methods,
    reason = "this crate blocks by contract; no async runtime here"
)]
pub(crate) fn pause() {
    std::thread::sleep(Duration::from_millis(20));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_state_from_line_eight() {
        let text = "4711\n/d\n1760000000\n5433\n\n127.0.0.1\n  1234 5\nready   \n";
        assert_eq!(
            PidFile::parse(text),
            Some(PidFile {
                pid: 4711,
                ready: true
            })
        );
        assert_eq!(
            PidFile::parse(&text.replace("ready   ", "starting")),
            Some(PidFile {
                pid: 4711,
                ready: false
            })
        );
        assert_eq!(PidFile::parse(""), None);
    }

    #[test]
    fn a_stale_file_that_names_a_stranger_is_removed_and_the_stranger_lives() {
        let cluster = tempfile::tempdir().unwrap();
        let file = cluster.path().join("postmaster.pid");
        let mut stranger = Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        std::fs::write(&file, format!("{}\n", stranger.id())).unwrap();
        stop_leftover(cluster.path()).unwrap();
        assert!(!file.exists());
        assert_eq!(stranger.try_wait().unwrap(), None);
        drop(stranger.stdin.take());
        assert!(stranger.wait().unwrap().success());
    }
}
