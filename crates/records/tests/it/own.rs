//! A Postgres of a test's own, which may be restarted and run out of room.

use std::path::Path;

use linkspan_localdb::{Durability, LocalPostgres, Options};
use secrecy::SecretString;
use tempfile::TempDir;

pub(crate) struct Own {
    folder: TempDir,
    server: Option<LocalPostgres>,
    port: Option<u16>,
}

impl Own {
    pub(crate) fn start() -> Self {
        let mut own = Self {
            folder: TempDir::new().unwrap(),
            server: None,
            port: None,
        };
        own.begin();
        own
    }

    fn begin(&mut self) {
        let options = Options {
            durability: Durability::TestOnly,
            port: self.port,
            ..Options::new(self.folder.path().join("data"))
        };
        let server = tokio::task::block_in_place(|| LocalPostgres::start(&options, &|_| {}));
        let server = server.unwrap();
        self.port = Some(server.port());
        self.server = Some(server);
    }

    /// Stops it as its administrator would, and starts it where it was.
    pub(crate) fn restart(&mut self) {
        let server = self.server.take().unwrap();
        tokio::task::block_in_place(|| server.stop()).unwrap();
        self.begin();
    }

    pub(crate) fn url(&self) -> SecretString {
        self.server.as_ref().unwrap().url("linkspan").into()
    }

    /// A folder that goes with it.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Its first process.
    pub(crate) fn pid(&self) -> i32 {
        self.server.as_ref().unwrap().pid()
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        drop(self.server.take());
        // Its files may lie elsewhere.
        let _ = linkspan_localdb::remove(&self.folder.path().join("data"));
    }
}
