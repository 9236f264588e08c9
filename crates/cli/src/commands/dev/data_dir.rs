//! What `dev` keeps between starts: its Postgres, its keys, the demo
//! provider's grants.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use linkspan_shared::vault::Keyring;
use secrecy::{ExposeSecret, SecretString};
use tempfile::NamedTempFile;

/// The directory, which only its owner can list, and which this process alone
/// uses.
pub(super) struct DataDir {
    path: PathBuf,
    _lock: File,
}

const ROOT_KEY: &str = "root-key";
const API_KEY: &str = "api-key";

impl DataDir {
    pub(super) fn open(path: &Path) -> Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(path)
            .with_context(|| format!("cannot create the data directory {}", path.display()))?;
        let path = path
            .canonicalize()
            .with_context(|| format!("cannot find the data directory {}", path.display()))?;
        let lock = lock(&path)?;
        let dir = Self { path, _lock: lock };
        // It often lies in somebody's repository.
        dir.write(".gitignore", "*")?;
        Ok(dir)
    }

    pub(super) fn root(&self) -> &Path {
        &self.path
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The root key: made at the first start.
    pub(super) fn root_key(&self) -> Result<SecretString> {
        if let Some(key) = self.read(ROOT_KEY)? {
            return Ok(key);
        }
        let key = Keyring::generate("dev")?;
        self.write(ROOT_KEY, key.expose_secret())?;
        Ok(key)
    }

    pub(super) fn api_key(&self) -> Result<Option<SecretString>> {
        self.read(API_KEY)
    }

    pub(super) fn store_api_key(&self, key: &SecretString) -> Result<()> {
        self.write(API_KEY, key.expose_secret())
    }

    fn read(&self, name: &str) -> Result<Option<SecretString>> {
        match fs::read_to_string(self.path(name)) {
            Ok(text) => Ok(Some(text.trim().to_owned().into())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => {
                Err(error).with_context(|| format!("cannot read {}", self.path(name).display()))
            }
        }
    }

    /// Written aside, where only the owner can read it, and renamed: a kill
    /// leaves the old one or the new.
    fn write(&self, name: &str, line: &str) -> Result<()> {
        let path = self.path(name);
        let write = || -> std::io::Result<()> {
            let mut file = NamedTempFile::new_in(&self.path)?;
            writeln!(file, "{line}")?;
            file.as_file().sync_all()?;
            file.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Held until this process ends, however it ends.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join("lock");
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "{} is in use by another process: stop the `linkspan dev` that runs there, \
             or choose another --data-dir",
            dir.display()
        ),
        Err(TryLockError::Error(error)) => {
            Err(error).with_context(|| format!("cannot lock {}", path.display()))
        }
    }
}
