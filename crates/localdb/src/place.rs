//! What lies where, and who owns it.
//!
//! ```text
//! <data_dir>/lock       held by the process that runs the server
//! <data_dir>/password   of the role `postgres`, mode 0600
//! <data_dir>/server/    the server user's own folder, or a link to it
//!     data/             the cluster
//!     log               of the running or last server
//! ```

use std::fs::{File, TryLockError};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use ring::rand::SecureRandom;

use crate::error::io;
use crate::{Account, Error, postmaster};

/// Where clusters live that an unprivileged user could not reach in place.
const SHARED_HOME: &str = "/var/lib/linkspan";

/// A data directory that this process holds the lock of.
#[derive(Debug)]
pub(crate) struct Place {
    data_dir: PathBuf,
    server: PathBuf,
    /// Whom the server runs as; `None` for this process's own user.
    pub(crate) account: Option<Account>,
    lock: File,
}

impl Place {
    pub(crate) fn open(data_dir: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(data_dir).map_err(io("create", data_dir))?;
        let data_dir = data_dir.canonicalize().map_err(io("resolve", data_dir))?;
        let lock = lock(&data_dir)?;
        let link = data_dir.join("server");
        // A cluster made before, perhaps without root, keeps its owner.
        let account =
            Account::to_drop_to()?.map(|account| Account::owning(&link).unwrap_or(account));
        let server = match link.canonicalize() {
            Ok(server) => server,
            Err(_) => create_server_dir(&data_dir, &link, account)?,
        };
        refuse_foreign(&server)?;
        Ok(Self {
            data_dir,
            server,
            account,
            lock,
        })
    }

    pub(crate) fn cluster(&self) -> PathBuf {
        self.server.join("data")
    }

    /// The cluster while it is being made; renamed when it is complete.
    pub(crate) fn unfinished_cluster(&self) -> PathBuf {
        self.server.join("data.new")
    }

    /// Another handle on the lock, which is free when the last one is closed.
    pub(crate) fn share_lock(&self) -> Result<File, Error> {
        let path = self.data_dir.join("lock");
        self.lock.try_clone().map_err(io("open", &path))
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.server.join("log")
    }

    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    pub(crate) fn password(&self) -> Option<String> {
        let text = std::fs::read_to_string(self.data_dir.join("password")).ok()?;
        let password = text.trim();
        // It becomes part of SQL and of URLs: only what `new_password` writes.
        let usable = password.len() >= 32 && password.bytes().all(|byte| byte.is_ascii_hexdigit());
        usable.then(|| password.to_owned())
    }

    /// Makes a new password of 256 bits and stores it for the next start.
    pub(crate) fn new_password(&self) -> Result<String, Error> {
        let path = self.data_dir.join("password");
        let password = random_hex(&path)?;
        // Written aside and renamed: a kill leaves the old one or the new one.
        let aside = self.data_dir.join("password.new");
        let mut options = File::options();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut file = options.open(&aside).map_err(io("create", &aside))?;
        file.write_all(password.as_bytes())
            .map_err(io("write", &aside))?;
        std::fs::rename(&aside, &path).map_err(io("create", &path))?;
        Ok(password)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Closing is not enough: a child of this process that is just being
        // started still has a copy of the descriptor until it runs its program.
        let _ = self.lock.unlock();
    }
}

/// The major version of the cluster in a data directory, if there is one.
pub(crate) fn cluster_version(data_dir: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(data_dir.join("server/data/PG_VERSION")).ok()?;
    text.trim().parse().ok()
}

/// Removes a data directory with everything in it, also what lies below
/// `/var/lib/linkspan` for it. A server that a killed run left is stopped.
///
/// # Errors
/// [`Error::InUse`] while a process holds it; [`Error::Io`].
pub fn remove(data_dir: &Path) -> Result<(), Error> {
    if !data_dir.exists() {
        return Ok(());
    }
    let place = Place::open(data_dir)?;
    postmaster::stop_leftover(&place.cluster())?;
    std::fs::remove_dir_all(&place.server).map_err(io("remove", &place.server))?;
    std::fs::remove_dir_all(&place.data_dir).map_err(io("remove", &place.data_dir))
}

fn lock(data_dir: &Path) -> Result<File, Error> {
    let path = data_dir.join("lock");
    let mut options = File::options();
    let file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(io("create", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse {
            data_dir: data_dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(io("lock", &path)(error)),
    }
}

fn create_server_dir(
    data_dir: &Path,
    link: &Path,
    account: Option<Account>,
) -> Result<PathBuf, Error> {
    // A link that leads nowhere: its cluster was removed.
    if link.symlink_metadata().is_ok() {
        std::fs::remove_file(link).map_err(io("remove", link))?;
    }
    let server = match account {
        Some(account) if !account.can_enter(data_dir) => {
            let elsewhere = Path::new(SHARED_HOME).join(random_hex(link)?);
            std::fs::create_dir_all(&elsewhere).map_err(io("create", &elsewhere))?;
            std::os::unix::fs::symlink(&elsewhere, link).map_err(io("link", link))?;
            elsewhere
        }
        _ => {
            std::fs::create_dir(link).map_err(io("create", link))?;
            link.to_owned()
        }
    };
    std::fs::set_permissions(&server, PermissionsExt::from_mode(0o700))
        .map_err(io("protect", &server))?;
    give_to(account, &server)?;
    Ok(server)
}

/// Makes the server's user the owner, when the server has a user of its own.
fn give_to(account: Option<Account>, path: &Path) -> Result<(), Error> {
    let Some(Account { uid, gid }) = account else {
        return Ok(());
    };
    std::os::unix::fs::chown(path, Some(uid), Some(gid)).map_err(io("change the owner of", path))
}

fn refuse_foreign(server: &Path) -> Result<(), Error> {
    let owner = server.metadata().map_err(io("examine", server))?.uid();
    let user = rustix::process::geteuid();
    if user.is_root() || user.as_raw() == owner {
        return Ok(());
    }
    Err(Error::NotOurs {
        data_dir: server.to_owned(),
        owner,
    })
}

fn random_hex(purpose: &Path) -> Result<String, Error> {
    let mut bytes = [0_u8; 32];
    ring::rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| {
            io("make a random name or password for", purpose)(std::io::ErrorKind::Other.into())
        })?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_holds_a_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("pg");
        let held = Place::open(&data_dir).unwrap();
        assert!(matches!(Place::open(&data_dir), Err(Error::InUse { .. })));
        drop(held);
        Place::open(&data_dir).unwrap();
        remove(&data_dir).unwrap();
        assert!(!data_dir.exists());
    }

    #[test]
    fn the_password_is_kept_and_private() {
        let dir = tempfile::tempdir().unwrap();
        let data_dir = dir.path().join("pg");
        let place = Place::open(&data_dir).unwrap();
        assert_eq!(place.password(), None);
        let password = place.new_password().unwrap();
        assert_eq!(place.password(), Some(password));
        let file = data_dir.join("password");
        assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);
        std::fs::write(file, "'; DROP ROLE postgres; --012345678901234567890123").unwrap();
        assert_eq!(place.password(), None);
        drop(place);
        remove(&data_dir).unwrap();
    }
}
