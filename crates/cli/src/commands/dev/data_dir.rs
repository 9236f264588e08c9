//! What `dev` keeps between starts: its Postgres, its root key, its API key.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use linkspan_shared::vault::Keyring;
use secrecy::{ExposeSecret, SecretString};

/// The directory, which only its owner can read.
pub(super) struct DataDir(PathBuf);

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
        Ok(Self(path))
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The root key: made at the first start.
    pub(super) fn root_key(&self) -> Result<SecretString> {
        if let Some(key) = self.read(ROOT_KEY)? {
            return Ok(key);
        }
        let key = Keyring::generate("dev")?;
        self.write(ROOT_KEY, &key)?;
        Ok(key)
    }

    pub(super) fn api_key(&self) -> Result<Option<SecretString>> {
        self.read(API_KEY)
    }

    pub(super) fn store_api_key(&self, key: &SecretString) -> Result<()> {
        self.write(API_KEY, key)
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

    /// Written aside and renamed, so that a kill leaves the old one or the new.
    fn write(&self, name: &str, secret: &SecretString) -> Result<()> {
        let path = self.path(name);
        let unfinished = path.with_extension("new");
        let write = || -> std::io::Result<()> {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&unfinished)?;
            writeln!(file, "{}", secret.expose_secret())?;
            file.sync_all()?;
            fs::rename(&unfinished, &path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}
