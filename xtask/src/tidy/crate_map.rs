//! The map in docs/ARCHITECTURE.md says which workspace crates each crate may
//! depend on; what cargo knows must not go beyond it. Development dependencies
//! are free: tests may reach anywhere.
//!
//! A line of the map reads `name/  what it is  ← names`, with `–` for none.
//! After the names, brackets hold `(name, optional)`, `(later)` for a crate
//! that does not exist yet, or a remark.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use cargo_metadata::{DependencyKind, Metadata};

use crate::workspace;

const PAGE: &str = "docs/ARCHITECTURE.md";

pub(super) fn check() -> Result<()> {
    let text = std::fs::read_to_string(workspace::root().join(PAGE))
        .with_context(|| format!("cannot read {PAGE}"))?;
    let map = parse(&text);
    if map.is_empty() {
        bail!("{PAGE} has no line with ←");
    }
    super::verdict(compare(&map, &actual(&workspace::metadata()?)))
}

#[derive(Debug, PartialEq, Eq)]
struct Entry {
    may_use: BTreeSet<String>,
    later: bool,
}

type Map = BTreeMap<String, Entry>;

fn parse(text: &str) -> Map {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<(String, Entry)> {
    let (left, right) = line.split_once('←')?;
    let name = left
        .split_whitespace()
        .next()?
        .strip_suffix('/')?
        .to_owned();
    let later = line.contains("(later)");
    let mut may_use = BTreeSet::new();
    for (index, part) in right.split(['(', ')']).enumerate() {
        // Every second part stood in brackets.
        if index % 2 == 0 {
            may_use.extend(
                part.split_whitespace()
                    .filter(|word| *word != "–")
                    .map(str::to_owned),
            );
        } else if let Some(optional) = part.strip_suffix(", optional") {
            may_use.insert(optional.to_owned());
        }
    }
    Some((name, Entry { may_use, later }))
}

/// The folder of each workspace crate, and the folders it depends on.
fn actual(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    let packages = metadata.workspace_packages();
    let folder = |manifest: &cargo_metadata::camino::Utf8Path| {
        manifest
            .parent()
            .and_then(|folder| folder.file_name())
            .map(str::to_owned)
    };
    let folders: BTreeMap<&str, String> = packages
        .iter()
        .filter_map(|package| Some((package.name.as_str(), folder(&package.manifest_path)?)))
        .collect();
    packages
        .iter()
        .filter_map(|package| {
            let counted = package
                .dependencies
                .iter()
                .filter(|one| one.kind != DependencyKind::Development);
            let uses = counted
                .filter_map(|one| folders.get(one.name.as_str()).cloned())
                .collect();
            Some((folders.get(package.name.as_str())?.clone(), uses))
        })
        .collect()
}

fn compare(map: &Map, actual: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut complaints = Vec::new();
    for (name, uses) in actual {
        let Some(entry) = map.get(name) else {
            // The map has xtask among the top folders, which no crate uses.
            if name != "xtask" {
                complaints.push(format!("{name} is not in the map"));
            }
            continue;
        };
        let beyond = uses.difference(&entry.may_use);
        complaints.extend(
            beyond.map(|used| format!("{name} depends on {used}, which the map does not allow")),
        );
    }
    for (name, entry) in map {
        match (actual.contains_key(name), entry.later) {
            (false, false) => complaints.push(format!(
                "{name} is in the map and does not exist; mark it (later)"
            )),
            (true, true) => complaints.push(format!("{name} exists and is marked (later)")),
            _ => {}
        }
        let unknown = entry.may_use.iter().filter(|used| !map.contains_key(*used));
        complaints
            .extend(unknown.map(|used| format!("{name} ← {used}, which has no line of its own")));
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAP: &str = "\
# Map
```
crates/
  api/      wire types                    ← –
  net/      the only door out             ← –
  bundle/   a feature (later)             ← –
  server/   parse, answer ← net api (bundle, optional)
  demo/     providers                     ← – (so that it copies nothing)
docs/       the manual
```
";

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn workspace(server: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
        let plain = ["api", "net", "demo"].map(|name| (name.to_owned(), set(&[])));
        plain
            .into_iter()
            .chain([("server".to_owned(), set(server))])
            .collect()
    }

    #[test]
    fn reads_names_options_and_remarks() {
        let map = parse(MAP);
        assert_eq!(
            map["server"],
            Entry {
                may_use: set(&["net", "api", "bundle"]),
                later: false
            }
        );
        assert_eq!(
            map["bundle"],
            Entry {
                may_use: set(&[]),
                later: true
            }
        );
        assert_eq!(
            map["demo"],
            Entry {
                may_use: set(&[]),
                later: false
            }
        );
        assert_eq!(map.len(), 5);
    }

    #[test]
    fn a_workspace_within_the_map_passes() {
        assert_eq!(
            compare(&parse(MAP), &workspace(&["net"])),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_dependency_beyond_the_map_is_named() {
        let complaints = compare(&parse(MAP), &workspace(&["net", "demo"]));
        assert_eq!(
            complaints,
            ["server depends on demo, which the map does not allow"]
        );
    }

    #[test]
    fn missing_and_premature_lines_are_named() {
        let mut crates = workspace(&[]);
        crates.remove("net");
        crates.insert("bundle".to_owned(), set(&[]));
        crates.insert("new".to_owned(), set(&[]));
        assert_eq!(
            compare(&parse(MAP), &crates),
            [
                "new is not in the map",
                "bundle exists and is marked (later)",
                "net is in the map and does not exist; mark it (later)",
            ]
        );
    }
}
