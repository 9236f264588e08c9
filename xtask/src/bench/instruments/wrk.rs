//! Load at its limit: wrk, and what it says.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::process::Usage;
use crate::bench::plan::Plan;
use crate::programs::WRK;
use crate::workspace;

/// wrk needs less than half of what a server needs; one thread does not
/// displace the servers from both cores.
const THREADS: &str = "-t1";

/// The headers of one caller's requests, as `Name: value`.
pub(in super::super) type Headers = Vec<String>;

/// Requests to send, and whose processor time to read meanwhile.
pub(in super::super) struct Load {
    pub(in super::super) name: String,
    pub(in super::super) url: String,
    /// Of each caller; their requests take turns.
    pub(in super::super) callers: Vec<Headers>,
    /// Connections that each send one request after the other.
    pub(in super::super) connections: usize,
    pub(in super::super) usage: Usage,
    /// Of the database that the server has, if it has one.
    pub(in super::super) database: Option<Usage>,
}

/// What came of one run.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct Measured {
    /// Answers.
    pub(in super::super) answers: f64,
    /// Answers a second.
    pub(in super::super) rate: f64,
    /// With the load at its limit.
    pub(in super::super) p99_ms: f64,
    /// Of the server and its children, for each answer.
    pub(in super::super) cpu_us: f64,
    /// Of the database, for each answer.
    pub(in super::super) database_us: f64,
}

/// The program, and a folder for its scripts.
pub(in super::super) struct Wrk {
    program: PathBuf,
    folder: PathBuf,
}

impl Wrk {
    pub(in super::super) fn find(folder: &Path) -> Result<Self> {
        Ok(Self {
            program: WRK.find_or_install()?,
            folder: folder.to_owned(),
        })
    }

    /// Measures each load as often as the plan says, in turn, so that what else
    /// the machine does meets all alike.
    pub(in super::super) fn measure<const N: usize>(
        &self,
        plan: &Plan,
        loads: &[Load; N],
    ) -> Result<[Vec<Measured>; N]> {
        for load in loads {
            self.run(load, plan.warm_up)?;
        }
        let mut results = std::array::from_fn(|_| Vec::new());
        for round in 1..=plan.rounds {
            for (load, results) in loads.iter().zip(&mut results) {
                let measured = self.run(load, plan.round)?;
                let Measured {
                    rate,
                    p99_ms,
                    cpu_us,
                    ..
                } = measured;
                let (name, connections) = (&load.name, load.connections);
                eprintln!(
                    "round {round}: {name:<20} {connections:>3} connections  {rate:>8.0} req/s  \
                     p99 {p99_ms:>6.2} ms  {cpu_us:>5.1} µs/req"
                );
                results.push(measured);
            }
        }
        Ok(results)
    }

    fn run(&self, load: &Load, time: Duration) -> Result<Measured> {
        let mut command = Command::new(&self.program);
        let connections = format!("-c{}", load.connections);
        let time = format!("-d{}s", time.as_secs());
        command.args([THREADS, &connections, &time, "--latency"]);
        match load.callers.as_slice() {
            [] => {}
            [headers] => {
                for header in headers {
                    command.args(["-H", header]);
                }
            }
            callers => {
                let script = self.folder.join("callers.lua");
                std::fs::write(&script, self::script(callers)?)?;
                command.arg("-s").arg(script);
            }
        }
        let cpu_us = |usage: Option<Usage>| usage.map_or(Ok(0.0), Usage::cpu_us);
        let before = [cpu_us(Some(load.usage))?, cpu_us(load.database)?];
        let text = workspace::read(command.arg(&load.url))?;
        let after = [cpu_us(Some(load.usage))?, cpu_us(load.database)?];
        let report = read(&text).with_context(|| format!("{}: wrk says\n{text}", load.name))?;
        Ok(Measured {
            answers: report.answers,
            rate: report.rate,
            p99_ms: report.p99_ms,
            cpu_us: (after[0] - before[0]) / report.answers,
            database_us: (after[1] - before[1]) / report.answers,
        })
    }
}

/// A script for wrk by which callers take turns. The requests are made
/// beforehand, so that a turn costs an index.
fn script(callers: &[Headers]) -> Result<String> {
    let mut script = String::from("local requests = {}\nfunction init(args)\n");
    for (at, headers) in callers.iter().enumerate() {
        write!(script, "  requests[{}] = wrk.format(nil, nil, {{", at + 1)?;
        for header in headers {
            let (name, value) = header.split_once(": ").context("a header has a value")?;
            write!(script, " [{name:?}] = {value:?},")?;
        }
        script.push_str(" })\n");
    }
    script.push_str(
        "end\nlocal turn = 0\nfunction request()\n  turn = turn % #requests + 1\n  \
         return requests[turn]\nend\n",
    );
    Ok(script)
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
    fn callers_take_turns() {
        let callers = ["a", "b"].map(|id| vec![format!("Connection-Id: {id}")]);
        let script = script(&callers).unwrap();
        for line in [
            r#"  requests[1] = wrk.format(nil, nil, { ["Connection-Id"] = "a", })"#,
            r#"  requests[2] = wrk.format(nil, nil, { ["Connection-Id"] = "b", })"#,
        ] {
            assert!(script.lines().any(|found| found == line), "{script}");
        }
    }
}
