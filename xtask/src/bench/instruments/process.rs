//! A server process, and what it takes.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long a server may take to listen.
const PATIENCE: Duration = Duration::from_secs(20);

/// Of the times in `/proc`: Linux keeps to 100 there, whatever its own clock
/// does (time(7), "USER_HZ").
const TICKS_A_SECOND: f64 = 100.0;

/// Another free one may be taken before it is used, which the server then says.
pub(in super::super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// A server process, told to end when it is dropped, and waited for.
pub(in super::super) struct Process(Child);

impl Process {
    /// Runs a command; what it has to say goes to `log`.
    pub(in super::super) fn start(command: &mut Command, log: impl Into<Stdio>) -> Result<Self> {
        let command = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        let child = command.spawn();
        Ok(Self(
            child.with_context(|| format!("cannot run {command:?}"))?,
        ))
    }

    pub(in super::super) fn wait_for(&self, address: SocketAddr) -> Result<()> {
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begun.elapsed() > PATIENCE {
                bail!("nothing listens on {address}");
            }
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }

    pub(in super::super) fn usage(&self) -> Usage {
        Usage(self.0.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // One that is gone is what is wanted.
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.0.wait();
    }
}

/// What a process and its children take; nginx' workers are its children.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Usage(u32);

impl Usage {
    /// Of a process by its id, and of its children.
    pub(in super::super) fn of(pid: u32) -> Self {
        Self(pid)
    }

    /// User and system time so far, in microseconds.
    pub(in super::super) fn cpu_us(self) -> Result<f64> {
        let ticks: u64 = self.family()?.iter().map(|stat| stat.ticks).sum();
        Ok(ticks as f64 * 1e6 / TICKS_A_SECOND)
    }

    /// The same without its children.
    pub(in super::super) fn own_cpu_us(self) -> Result<f64> {
        let own = self.family()?.into_iter().find(|stat| stat.pid == self.0);
        let own = own.context("the process is gone")?;
        Ok(own.ticks as f64 * 1e6 / TICKS_A_SECOND)
    }

    /// Resident memory now, in MB.
    pub(in super::super) fn resident_mb(self) -> Result<f64> {
        self.sum("status", "VmRSS:")
    }

    /// Memory now with what is shared counted in part, in MB.
    pub(in super::super) fn proportional_mb(self) -> Result<f64> {
        self.sum("smaps_rollup", "Pss:")
    }

    /// The most resident memory since [`Usage::forget_peak`], in MB.
    pub(in super::super) fn peak_mb(self) -> Result<f64> {
        self.sum("status", "VmHWM:")
    }

    /// Lets the peak begin from what is resident now (proc_pid_clear_refs(5)).
    pub(in super::super) fn forget_peak(self) -> Result<()> {
        for stat in self.family()? {
            fs::write(format!("/proc/{}/clear_refs", stat.pid), "5")
                .context("the peak of memory cannot be reset")?;
        }
        Ok(())
    }

    fn sum(self, file: &str, key: &str) -> Result<f64> {
        let mut kilobytes = 0.0;
        for stat in self.family()? {
            let text = fs::read_to_string(format!("/proc/{}/{file}", stat.pid))?;
            kilobytes += self::kilobytes(&text, key).with_context(|| format!("no {key}"))?;
        }
        Ok(kilobytes / 1024.0)
    }

    fn family(self) -> Result<Vec<Stat>> {
        let mut family = Vec::new();
        for entry in fs::read_dir("/proc").context("processes are in /proc")? {
            let Ok(stat) = fs::read_to_string(entry?.path().join("stat")) else {
                continue;
            };
            family.extend(Stat::read(&stat).filter(|s| s.pid == self.0 || s.parent == self.0));
        }
        Ok(family)
    }
}

/// The number of a line `key: 123 kB`.
fn kilobytes(text: &str, key: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// A line of `/proc/*/stat` (proc_pid_stat(5)).
#[derive(Debug, PartialEq)]
struct Stat {
    pid: u32,
    parent: u32,
    ticks: u64,
}

impl Stat {
    fn read(line: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything, spaces and parentheses too.
        let (pid, rest) = line.split_once(" (")?;
        let fields: Vec<&str> = rest.rsplit_once(") ")?.1.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            pid: pid.parse().ok()?,
            parent: fields.get(1)?.parse().ok()?,
            ticks: number(11)? + number(12)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_processor_times() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 150 50 9 9 20 0";
        let expected = Stat {
            pid: 42,
            parent: 7,
            ticks: 200,
        };
        assert_eq!(Stat::read(line), Some(expected));
        assert_eq!(Stat::read("42"), None);
    }

    #[test]
    fn reads_memory() {
        let status = "VmPeak:\t  9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\n";
        assert_eq!(kilobytes(status, "VmHWM:"), Some(2048.0));
        assert_eq!(kilobytes(status, "VmSwap:"), None);
    }
}
