use std::ffi::OsString;
use std::path::PathBuf;

/// How to find Postgres and how to run it. Start from [`Options::new`].
#[derive(Debug, Clone)]
pub struct Options {
    /// Everything lives here: the cluster, its password, its log, a lock.
    /// Created when missing. As root, when an unprivileged user cannot reach
    /// the directory, the cluster moves below `/var/lib/linkspan` and a
    /// symbolic link stays here.
    pub data_dir: PathBuf,
    /// Where fetched binaries are kept; `binaries` in the data directory when
    /// `None`.
    pub cache_dir: Option<PathBuf>,
    /// A folder with `postgres` and `initdb`; nothing else is looked at then.
    pub bin_dir: Option<PathBuf>,
    /// The value of `PATH`, searched for `postgres`.
    pub search_path: Option<OsString>,
    /// Which sources of binaries are allowed.
    pub source: Source,
    /// The port on 127.0.0.1; a free one when `None`.
    pub port: Option<u16>,
    /// What a crash of the machine may cost.
    pub durability: Durability,
    /// Postgres' `max_connections`.
    pub max_connections: u16,
}

impl Options {
    /// Any source of binaries, a free port, full durability, 100 connections.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            cache_dir: None,
            bin_dir: None,
            search_path: None,
            source: Source::Any,
            port: None,
            durability: Durability::Full,
            max_connections: 100,
        }
    }

    pub(crate) fn cache_dir(&self) -> PathBuf {
        self.cache_dir
            .clone()
            .unwrap_or_else(|| self.data_dir.join("binaries"))
    }
}

/// Which sources of binaries are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The machine's own, else npm's.
    Any,
    /// Only the machine's own.
    System,
    /// Only npm's `@embedded-postgres/<platform>`.
    Npm,
}

/// What a crash of the machine may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: Postgres' own defaults.
    Full,
    /// Everything: `fsync` and its companions are off, several times faster.
    /// A cluster made by another Postgres version is replaced, not refused.
    TestOnly,
}
