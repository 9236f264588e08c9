//! The crates that the SDKs share must build for the browser: none of what
//! needs threads, sockets or a database may come in with them, by any way.

use anyhow::Result;

use crate::workspace::{self, cargo};

const CLEAN: [&str; 2] = ["linkspan-api", "linkspan-providers"];

/// A library that is named like one of these, or begins so.
const FORBIDDEN: [&str; 8] = [
    "tokio", "mio", "actix", "diesel", "hyper", "reqwest", "rustls", "ring",
];

pub(super) fn check() -> Result<()> {
    let mut complaints = Vec::new();
    for package in CLEAN {
        let mut tree = cargo();
        tree.args([
            "tree",
            "--package",
            package,
            "--no-default-features",
            "--edges",
            "normal",
        ]);
        tree.args([
            "--target",
            "wasm32-unknown-unknown",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]);
        complaints.extend(complaints_about(package, &workspace::read(&mut tree)?));
    }
    super::verdict(complaints)
}

fn complaints_about(package: &str, tree: &str) -> Vec<String> {
    let mut names: Vec<&str> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    names.sort_unstable();
    names.dedup();
    let is = |name: &str, forbidden: &str| {
        name.strip_prefix(forbidden)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
    };
    names.retain(|name| FORBIDDEN.iter().any(|forbidden| is(name, forbidden)));
    names
        .iter()
        .map(|name| format!("{package} brings in {name}; see `cargo tree -p {package} -i {name}`"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forbidden_libraries_are_found_by_name_and_family() {
        let tree = "linkspan-api v0.1.0 (/x)\nserde v1.0.0\ntokio-util v0.7.0\nstring v1.0.0\nring v0.17.0\n";
        let complaints = complaints_about("linkspan-api", tree);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
        assert!(complaints[0].contains("brings in ring"));
        assert!(complaints[1].contains("brings in tokio-util"));
    }
}
