//! Programs from outside: found, or installed by the system's package manager.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::workspace;

/// A program and the packages that bring it.
pub(crate) struct Program {
    /// Environment variable that names the program's path outright.
    variable: Option<&'static str>,
    /// Names in `PATH`, the best first.
    names: &'static [&'static str],
    /// Absolute paths, for what macOS keeps outside `PATH`.
    paths: &'static [&'static str],
    apt: &'static str,
    dnf: &'static str,
    /// Words after `brew install`.
    brew: &'static [&'static str],
}

/// Drives the browser tests.
pub(crate) const CHROMIUM: Program = Program {
    variable: Some("LINKSPAN_TEST_CHROMIUM"),
    names: &[
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "chrome",
    ],
    paths: &[
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
    ],
    apt: "chromium",
    dnf: "chromium",
    brew: &["--cask", "chromium"],
};

/// Stands before Postgres in `test --pgbouncer`.
pub(crate) const PGBOUNCER: Program = Program {
    variable: None,
    names: &["pgbouncer"],
    paths: &[],
    apt: "pgbouncer",
    dnf: "pgbouncer",
    brew: &["pgbouncer"],
};

/// The reference of the proxy benchmark.
pub(crate) const NGINX: Program = Program {
    variable: None,
    names: &["nginx"],
    paths: &[],
    apt: "nginx-light",
    dnf: "nginx",
    brew: &["nginx"],
};

/// The load generator of the proxy benchmark.
pub(crate) const WRK: Program = Program {
    variable: None,
    names: &["wrk"],
    paths: &[],
    apt: "wrk",
    dnf: "wrk",
    brew: &["wrk"],
};

/// The reference of the credentials benchmark.
pub(crate) const PGBENCH: Program = Program {
    variable: None,
    names: &["pgbench"],
    paths: &[],
    apt: "postgresql",
    dnf: "postgresql-contrib",
    brew: &["postgresql@17"],
};

/// Asks the benchmarks' Postgres.
pub(crate) const PSQL: Program = Program {
    variable: None,
    names: &["psql"],
    paths: &[],
    apt: "postgresql-client",
    dnf: "postgresql",
    brew: &["postgresql@17"],
};

impl Program {
    /// The program's path; installs it when it is missing, and says so.
    pub(crate) fn find_or_install(&self) -> Result<PathBuf> {
        if let Some(found) = self.find() {
            return Ok(found);
        }
        let name = self.names.first().copied().unwrap_or_default();
        println!("{name} is missing; installing it");
        self.install().with_context(|| {
            format!(
                "cannot install {name}: install it yourself so that it is in PATH{}",
                self.hint()
            )
        })?;
        self.find()
            .with_context(|| format!("{name} was installed and is still not in PATH"))
    }

    fn find(&self) -> Option<PathBuf> {
        if let Some(named) = self.variable.and_then(std::env::var_os) {
            return Some(named.into());
        }
        self.names
            .iter()
            .find_map(|name| in_path(name))
            .or_else(|| {
                self.paths
                    .iter()
                    .map(PathBuf::from)
                    .find(|path| path.is_file())
            })
    }

    fn hint(&self) -> String {
        self.variable
            .map(|name| format!(", or name its path in {name}"))
            .unwrap_or_default()
    }

    fn install(&self) -> Result<()> {
        if in_path("apt-get").is_some() {
            announce(as_root("apt-get")?.args(["update", "--quiet=2"]))?;
            let install = [
                "install",
                "--yes",
                "--quiet=2",
                "--no-install-recommends",
                self.apt,
            ];
            announce(as_root("apt-get")?.args(install))
        } else if in_path("dnf").is_some() {
            announce(as_root("dnf")?.args(["install", "--assumeyes", self.dnf]))
        } else if in_path("brew").is_some() {
            announce(Command::new("brew").arg("install").args(self.brew))
        } else {
            bail!("there is no apt-get, dnf or brew")
        }
    }
}

/// A Node that is new enough, with npm.
pub(crate) fn check_node() -> Result<()> {
    let advice = "the tests with the npm clients need Node 20 or newer, with npm, in PATH";
    let version = workspace::read(Command::new("node").arg("--version")).context(advice)?;
    if node_major(&version).is_none_or(|major| major < 20) {
        bail!("{advice}; found {}", version.trim());
    }
    if in_path("npm").is_none() {
        bail!("{advice}; found no npm");
    }
    Ok(())
}

fn node_major(version: &str) -> Option<u32> {
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

/// Servers live in `sbin`, which a user's `PATH` often leaves out.
fn in_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path)
        .chain(system)
        .map(|dir| dir.join(name))
        .find(|path| is_program(path))
}

fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

fn as_root(program: &str) -> Result<Command> {
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new(program)
    } else if in_path("sudo").is_some() {
        let mut sudo = Command::new("sudo");
        sudo.args(["env", "DEBIAN_FRONTEND=noninteractive", program]);
        sudo
    } else {
        bail!("{program} needs root, and there is no sudo")
    };
    command.env("DEBIAN_FRONTEND", "noninteractive");
    Ok(command)
}

fn announce(command: &mut Command) -> Result<()> {
    println!("  {}", workspace::shown(command));
    workspace::run(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nodes_version() {
        assert_eq!(node_major("v20.20.2\n"), Some(20));
        assert_eq!(node_major("v8.0.0"), Some(8));
        assert_eq!(node_major("node"), None);
    }

    #[test]
    fn finds_only_what_can_be_run() {
        assert!(in_path("sh").is_some());
        assert_eq!(in_path("no-such-program"), None);
        assert!(!is_program(Path::new("/etc/passwd")));
        assert!(!is_program(Path::new("/")));
    }
}
