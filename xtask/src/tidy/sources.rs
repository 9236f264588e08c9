//! Rules on the text of source files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace;

/// A file past this knows two things; split it by what it knows.
const LONGEST: usize = 500;

/// Ways to the environment that clippy.toml's `std::env::var` does not cover.
const ENVIRONMENT: [&str; 4] = [
    "env::var_os",
    "env::vars_os",
    "env::home_dir",
    "env::set_var",
];

pub(super) fn check_lengths() -> Result<()> {
    let long = sources(&["crates", "xtask"])?
        .into_iter()
        .filter_map(|(path, text)| {
            let lines = text.lines().count();
            (lines > LONGEST)
                .then(|| format!("{} has {lines} lines, more than {LONGEST}", path.display()))
        });
    super::verdict(long.collect())
}

pub(super) fn check_environment() -> Result<()> {
    let cli = Path::new("crates/cli");
    // What a build script reads, cargo sets.
    let readers = sources(&["crates"])?
        .into_iter()
        .filter(|(path, _)| !path.starts_with(cli) && !path.ends_with("build.rs"));
    super::verdict(
        readers
            .flat_map(|(path, text)| environment_in(&path, &text))
            .collect(),
    )
}

fn environment_in(path: &Path, text: &str) -> Vec<String> {
    let lines = text.lines().enumerate();
    let found = lines.filter(|(_, line)| ENVIRONMENT.iter().any(|way| line.contains(way)));
    found
        .map(|(index, _)| {
            format!(
                "{}:{} reads the environment, which only `cli` may",
                path.display(),
                index + 1
            )
        })
        .collect()
}

/// Every Rust file below these folders, its path from the root, its text.
pub(super) fn sources(folders: &[&str]) -> Result<Vec<(PathBuf, String)>> {
    let mut found = Vec::new();
    for folder in folders {
        collect(&workspace::root().join(folder), &mut found)?;
    }
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<(PathBuf, String)>) -> Result<()> {
    let entries =
        std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("node_modules") && !path.ends_with("target") {
                collect(&path, found)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path)?;
            let path = path
                .strip_prefix(workspace::root())
                .map(Path::to_owned)
                .unwrap_or(path);
            found.push((path, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_its_own_file_by_its_path_from_the_root() {
        let found = sources(&["xtask"]).unwrap();
        let (_, text) = found
            .iter()
            .find(|(path, _)| path == Path::new("xtask/src/tidy/sources.rs"))
            .unwrap();
        assert!(text.contains("finds_its_own_file"));
    }

    #[test]
    fn names_the_line_that_reads_the_environment() {
        let text = "fn f() {\n    std::env::var_os(\"HOME\");\n}\n";
        assert_eq!(
            environment_in(Path::new("crates/net/src/lib.rs"), text),
            ["crates/net/src/lib.rs:2 reads the environment, which only `cli` may"]
        );
    }
}
