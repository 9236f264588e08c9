//! A real Postgres, started, stopped, killed and recovered.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod lifecycle;
mod npm;
mod recovery;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use linkspan_localdb::{Durability, LocalPostgres, Options};
use tokio_postgres::{Client, NoTls};

/// A data directory that is removed at the end, wherever its cluster lies.
struct Home(tempfile::TempDir);

impl Home {
    /// In a folder that every user can enter.
    fn open() -> Self {
        Self::with_mode(0o755)
    }

    /// In a folder that only this user can enter.
    fn private() -> Self {
        Self::with_mode(0o700)
    }

    fn with_mode(mode: u32) -> Self {
        let home = tempfile::tempdir().unwrap();
        std::fs::set_permissions(home.path(), Permissions::from_mode(mode)).unwrap();
        Self(home)
    }

    fn data_dir(&self) -> PathBuf {
        self.0.path().join("pg")
    }

    fn options(&self) -> Options {
        Options {
            durability: Durability::TestOnly,
            ..Options::new(self.data_dir())
        }
    }

    fn start(&self) -> LocalPostgres {
        LocalPostgres::start(&self.options(), &|_| {}).unwrap()
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let removed = linkspan_localdb::remove(&self.data_dir());
        assert!(removed.is_ok() || std::thread::panicking(), "{removed:?}");
    }
}

async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

async fn number(url: &str, sql: &str) -> i32 {
    connect(url).await.query_one(sql, &[]).await.unwrap().get(0)
}

/// Looks again until the condition holds; fails after half a minute.
async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), holds)
        .await
        .expect(what);
}

/// The user that a process runs as.
fn user_of(pid: i32) -> u32 {
    let listed = std::process::Command::new("ps")
        .args(["-o", "uid=", "-p", &pid.to_string()])
        .output()
        .unwrap();
    String::from_utf8(listed.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

fn our_user(of: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&of.metadata().unwrap())
}
