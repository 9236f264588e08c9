//! The machine that figures are of.

use std::fmt;

use serde::Serialize;

/// What one must know of a machine to compare figures.
#[derive(Debug, Serialize)]
pub(super) struct Host {
    /// As the processor names itself.
    processor: String,
    /// Of them, that this process may use.
    cores: usize,
    /// In GiB.
    memory_gib: f64,
    kernel: String,
    /// Processes that wanted to run in the last minute, on average: a busy
    /// machine's figures are not comparable.
    load_average: f64,
    /// Of the commit that is checked out, with a `+` when files have changed.
    commit: String,
}

impl Host {
    pub(super) fn look() -> Self {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        Self {
            processor: field(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_gib(&read("/proc/meminfo")).unwrap_or_default(),
            kernel,
            load_average: first_number(&read("/proc/loadavg")).unwrap_or_default(),
            commit: commit().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            cores,
            memory_gib,
            kernel,
            load_average,
            commit,
        } = self;
        write!(
            f,
            "{cores} cores of {processor}, {memory_gib:.0} GiB, Linux {kernel}, \
             load average {load_average}, commit {commit}"
        )
    }
}

/// The value of the first line `key : value`.
fn field(text: &str, key: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim().to_owned())
    })
}

fn memory_gib(meminfo: &str) -> Option<f64> {
    let total = field(meminfo, "MemTotal")?;
    let kilobytes: f64 = total.strip_suffix(" kB")?.parse().ok()?;
    Some(kilobytes / (1 << 20) as f64)
}

fn first_number(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        git.current_dir(crate::workspace::root()).args(arguments);
        crate::workspace::read(&mut git).ok()
    };
    let commit = git(&["rev-parse", "--short", "HEAD"])?;
    let changed = git(&["status", "--porcelain", "--untracked-files=no"])?;
    let mark = if changed.is_empty() { "" } else { "+" };
    Some(format!("{}{mark}", commit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_linux_says_of_itself() {
        let cpuinfo = "processor\t: 0\nmodel name\t: A Processor @ 2.00GHz\nprocessor\t: 1\n";
        let processor = field(cpuinfo, "model name");
        assert_eq!(processor.as_deref(), Some("A Processor @ 2.00GHz"));
        let meminfo = "MemTotal:       25165824 kB\nMemFree:        1 kB\n";
        assert_eq!(memory_gib(meminfo), Some(24.0));
        assert_eq!(first_number("0.15 0.53 1.37 1/200 4242\n"), Some(0.15));
        assert_eq!(memory_gib(""), None);
    }
}
