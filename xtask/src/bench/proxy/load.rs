//! The load: wrk, and what it says.

use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// Connections that each send one request after the other.
const CONNECTIONS: &str = "-c64";
/// wrk needs less than half of what a server needs; one thread does not
/// displace the servers from both cores.
const THREADS: &str = "-t1";
const SECONDS: &str = "-d5s";
const WARM_UP_SECONDS: &str = "-d2s";

/// Of the times in `/proc`: Linux keeps to 100 there, whatever its own clock
/// does (time(7), "USER_HZ").
const TICKS_A_SECOND: f64 = 100.0;

/// Requests to send, and whose processor time to read meanwhile.
pub(super) struct Load {
    pub(super) name: &'static str,
    pub(super) url: String,
    pub(super) headers: Vec<String>,
    pub(super) pid: u32,
}

/// What came of one run.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Measured {
    /// Answers.
    pub(super) answers: f64,
    /// Answers a second.
    pub(super) rate: f64,
    /// With the load at its limit.
    pub(super) p99_ms: f64,
    /// Of the server and its children, for each answer.
    pub(super) cpu_us: f64,
}

impl Load {
    pub(super) fn warm_up(&self, wrk: &Path) -> Result<()> {
        self.wrk(wrk, WARM_UP_SECONDS).map(drop)
    }

    pub(super) fn run(&self, wrk: &Path) -> Result<Measured> {
        let before = cpu_us(self.pid)?;
        let report = self.wrk(wrk, SECONDS)?;
        let spent = cpu_us(self.pid)? - before;
        Ok(Measured {
            answers: report.answers,
            rate: report.rate,
            p99_ms: report.p99_ms,
            cpu_us: spent / report.answers,
        })
    }

    fn wrk(&self, wrk: &Path, seconds: &str) -> Result<Report> {
        let mut command = Command::new(wrk);
        command.args([THREADS, CONNECTIONS, seconds, "--latency"]);
        for header in &self.headers {
            command.args(["-H", header]);
        }
        let text = workspace::read(command.arg(&self.url))?;
        read(&text).with_context(|| format!("{}: wrk says\n{text}", self.name))
    }
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            rate,
            p99_ms,
            cpu_us,
            ..
        } = self;
        write!(
            f,
            "{rate:>8.0} req/s  p99 {p99_ms:>6.2} ms  {cpu_us:>5.1} µs/req"
        )
    }
}

#[derive(Debug, PartialEq)]
struct Report {
    rate: f64,
    p99_ms: f64,
    answers: f64,
}

/// A run with any failure measures something else, so it is none.
fn read(text: &str) -> Result<Report> {
    for failure in ["Socket errors", "Non-2xx"] {
        if text.contains(failure) {
            bail!("some requests failed");
        }
    }
    let after = |key: &str| {
        let line = text.lines().find_map(|line| line.trim().strip_prefix(key));
        line.map(str::trim).with_context(|| format!("no `{key}`"))
    };
    let answers = text
        .lines()
        .find_map(|line| line.trim().split_once(" requests in "))
        .context("no number of requests")?;
    Ok(Report {
        rate: after("Requests/sec:")?.parse()?,
        p99_ms: milliseconds(after("99%")?)?,
        answers: answers.0.parse()?,
    })
}

fn milliseconds(text: &str) -> Result<f64> {
    let units = [("us", 0.001), ("ms", 1.0), ("s", 1000.0)];
    let (number, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))
        .with_context(|| format!("{text} is no time"))?;
    Ok(number.parse::<f64>()? * factor)
}

/// User and system time of a process and its children so far, in microseconds.
fn cpu_us(pid: u32) -> Result<f64> {
    let mut ticks = 0;
    for entry in std::fs::read_dir("/proc").context("processor times are in /proc")? {
        let Ok(stat) = std::fs::read_to_string(entry?.path().join("stat")) else {
            continue;
        };
        let Some(process) = Stat::read(&stat) else {
            continue;
        };
        if process.pid == pid || process.parent == pid {
            ticks += process.ticks;
        }
    }
    Ok(ticks as f64 * 1e6 / TICKS_A_SECOND)
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

    const REPORT: &str = "\
Running 5s test @ http://127.0.0.1:1/
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     1.48ms    1.02ms  24.37ms   91.60%
    Req/Sec    44.83k     2.09k   48.51k    72.00%
  Latency Distribution
     50%    1.27ms
     75%    1.66ms
     90%    2.38ms
     99%  980.00us
  222973 requests in 5.00s, 41.67MB read
Requests/sec:  44591.23
Transfer/sec:      8.33MB
";

    #[test]
    fn reads_what_wrk_prints() {
        let expected = Report {
            rate: 44_591.23,
            p99_ms: 0.98,
            answers: 222_973.0,
        };
        assert_eq!(read(REPORT).unwrap(), expected);
        let failed = format!("{REPORT}  Non-2xx or 3xx responses: 5\n");
        assert!(read(&failed).is_err());
        assert!(read("unable to connect").is_err());
    }

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
}
