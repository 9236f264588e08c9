//! Where everything is, for programs that start `dev` and wait for it.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use tempfile::NamedTempFile;

/// The content of the ready file.
#[derive(Serialize)]
pub(super) struct Ready {
    pub(super) server_url: String,
    pub(super) api_key: String,
    pub(super) public_key: String,
    pub(super) demo_url: String,
    pub(super) database_url: String,
    pub(super) monitor_url: String,
}

/// A ready file that is going to be written: for its owner only, since there
/// are secrets in it, and whole from the moment it is there.
pub(super) struct ReadyFile {
    path: PathBuf,
    unfinished: NamedTempFile,
}

impl ReadyFile {
    /// Removes the file of an earlier run, which must not be taken for this
    /// one's, and finds out now whether there can be a new one.
    pub(super) fn reserve(path: &Path) -> Result<Self> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot replace {}", path.display()));
            }
            _ => {}
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let unfinished = tempfile::Builder::new()
            .prefix(".linkspan-ready-")
            .tempfile_in(folder)
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            unfinished,
        })
    }

    pub(super) fn write(mut self, ready: &Ready) -> Result<()> {
        let json = serde_json::to_string(ready)?;
        writeln!(self.unfinished, "{json}")
            .and_then(|()| Ok(self.unfinished.persist(&self.path)?))
            .with_context(|| format!("cannot write {}", self.path.display()))?;
        Ok(())
    }
}
