//! A Postgres of a test's own, which may be stopped, restarted and run out of room.

use std::path::Path;

use linkspan_localdb::{Durability, LocalPostgres, Options};
use secrecy::SecretString;
use tempfile::TempDir;
use tokio::task::block_in_place;

/// A Postgres with its files, which go with this value. Needs a multi-threaded
/// runtime.
pub struct OwnPostgres {
    folder: TempDir,
    server: Option<LocalPostgres>,
    port: Option<u16>,
    max_connections: u16,
}

impl OwnPostgres {
    /// Starts one.
    #[must_use]
    pub fn new() -> Self {
        Self::with_connections(100)
    }

    /// Starts one that has so many connections.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn with_connections(max_connections: u16) -> Self {
        let mut own = Self {
            folder: TempDir::new().expect("a folder"),
            server: None,
            port: None,
            max_connections,
        };
        own.start();
        own
    }

    /// Starts it where it was.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(&mut self) {
        let options = Options {
            durability: Durability::TestOnly,
            port: self.port,
            max_connections: self.max_connections,
            ..Options::new(self.folder.path().join("data"))
        };
        let server = block_in_place(|| LocalPostgres::start(&options, &|_| {}));
        let server = server.expect("a Postgres of its own starts");
        self.port = Some(server.port());
        self.server = Some(server);
    }

    /// Stops it as its administrator would.
    ///
    /// # Panics
    /// When it does not stop, or does not run.
    pub fn stop(&mut self) {
        let server = self.server.take().expect("it runs");
        block_in_place(|| server.stop()).expect("it stops");
    }

    /// Stops it and starts it where it was.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Of its database `linkspan`, which has no tables at first.
    #[must_use]
    pub fn url(&self) -> SecretString {
        self.running().url("linkspan").into()
    }

    /// Its first process.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.running().pid()
    }

    /// A folder that goes with it.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    fn running(&self) -> &LocalPostgres {
        self.server.as_ref().expect("it runs")
    }
}

impl Default for OwnPostgres {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for OwnPostgres {
    fn drop(&mut self) {
        drop(self.server.take());
        // Its files may lie elsewhere.
        let _ = linkspan_localdb::remove(&self.folder.path().join("data"));
    }
}
