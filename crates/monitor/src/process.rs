//! What the system knows of this process, under the names that Prometheus'
//! client libraries share ("Standard and runtime collectors"). They are read
//! when they are asked for. Without Linux' `/proc` there are none.

use std::fmt::Write as _;
use std::fs;

use rustix::param::{clock_ticks_per_second, page_size};

/// What one look at the process finds.
#[derive(Debug, PartialEq)]
struct Stat {
    /// User and system time of all threads, in clock ticks.
    cpu_ticks: u64,
    threads: u64,
    /// In clock ticks since the machine started.
    started_ticks: u64,
    virtual_bytes: u64,
    resident_pages: u64,
}

/// Adds the process's metrics to a page.
pub(crate) fn render(page: &mut String) {
    let ticks = clock_ticks_per_second().max(1);
    if let Some(stat) = read("/proc/self/stat").as_deref().and_then(parse_stat) {
        let seconds = |of: u64| of as f64 / ticks as f64;
        add(
            page,
            "process_cpu_seconds_total",
            "counter",
            "Processor time of the process, user and system, in seconds.",
            seconds(stat.cpu_ticks),
        );
        add(
            page,
            "process_resident_memory_bytes",
            "gauge",
            "Memory that the process has in RAM, in bytes.",
            (stat.resident_pages * page_size() as u64) as f64,
        );
        add(
            page,
            "process_virtual_memory_bytes",
            "gauge",
            "Address space of the process, in bytes.",
            stat.virtual_bytes as f64,
        );
        add(
            page,
            "process_threads",
            "gauge",
            "Threads of the process.",
            stat.threads as f64,
        );
        if let Some(booted) = read("/proc/stat").as_deref().and_then(boot_time) {
            add(
                page,
                "process_start_time_seconds",
                "gauge",
                "When the process started, in seconds since 1970.",
                booted as f64 + seconds(stat.started_ticks),
            );
        }
    }
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        add(
            page,
            "process_open_fds",
            "gauge",
            "Files and sockets that the process has open.",
            // One of them is the directory that is being read.
            files.count().saturating_sub(1) as f64,
        );
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    if let Some(limit) = limit {
        add(
            page,
            "process_max_fds",
            "gauge",
            "Files and sockets that the process may have open.",
            limit as f64,
        );
    }
}

fn read(path: &str) -> Option<String> {
    fs::read_to_string(path).ok()
}

fn add(page: &mut String, name: &str, kind: &str, help: &str, value: f64) {
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n\n"
    );
}

/// `/proc/[pid]/stat` (proc_pid_stat(5)). The program's name is in brackets and
/// may itself have brackets and spaces, so that counting begins behind the last.
fn parse_stat(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    // The manual counts from 1, and the first that is left is the third.
    let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
    Some(Stat {
        cpu_ticks: field(14)? + field(15)?,
        threads: field(20)?,
        started_ticks: field(22)?,
        virtual_bytes: field(23)?,
        resident_pages: field(24)?,
    })
}

/// When the machine started, in seconds since 1970 (proc_stat(5)).
fn boot_time(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("btime "))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_shift_the_fields() {
        let rest = "S 1 2 3 4 5 6 7 8 9 10 700 50 0 0 20 0 4 0 123456 1000000 250 99";
        let expected = Stat {
            cpu_ticks: 750,
            threads: 4,
            started_ticks: 123_456,
            virtual_bytes: 1_000_000,
            resident_pages: 250,
        };
        for name in ["linkspan", "a) b (c", "(()"] {
            let parsed = parse_stat(&format!("42 ({name}) {rest}"));
            assert_eq!(parsed.as_ref(), Some(&expected), "{name}");
        }
        for broken in ["", "42 (a) S 1", "42 (a) S x"] {
            assert_eq!(parse_stat(broken), None, "{broken}");
        }
    }

    #[test]
    fn the_boot_time_is_a_line_among_others() {
        let text = "cpu  1 2 3\nintr 5\nctxt 6\nbtime 1700000000\nprocesses 7\n";
        assert_eq!(boot_time(text), Some(1_700_000_000));
        assert_eq!(boot_time("cpu 1\n"), None);
    }
}
