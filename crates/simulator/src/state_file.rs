//! The grants in a file, for a provider that is stopped and started again.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::grants::Grants;

/// What an earlier run wrote; no grants when there was none.
pub(crate) fn read(path: &Path, access_token_life: Duration) -> io::Result<Grants> {
    let json = match fs::read(path) {
        Ok(json) => json,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Grants::new(access_token_life));
        }
        Err(error) => return Err(named(path, "cannot be read", error.kind(), &error)),
    };
    Grants::from_json(&json, access_token_life).map_err(|error| {
        let kind = io::ErrorKind::InvalidData;
        named(
            path,
            "is damaged; remove it to start without grants",
            kind,
            &error,
        )
    })
}

/// Written aside, where only the owner can read it, and renamed: a kill leaves
/// the old file or the new one.
pub(crate) fn write(path: &Path, grants: &Grants) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&serde_json::to_vec(grants)?)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

fn named(path: &Path, what: &str, kind: io::ErrorKind, error: &dyn std::error::Error) -> io::Error {
    io::Error::new(kind, format!("{} {what}: {error}", path.display()))
}
