//! Providers and auth modes are data (docs/ARCHITECTURE.md, invariant 8): code
//! that asks which one it has belongs in `auth`'s or `webhooks`' one list.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::sources::sources;
use crate::workspace;

/// Where a provider may be named.
const MAY_NAME_PROVIDERS: [&str; 5] = [
    "crates/auth/src/quirks",
    "crates/webhooks/src/routes",
    "crates/cli/src/commands/dev",
    "crates/testkit",
    "crates/simulator",
];
/// Slugs that are words, too, which the program says without meaning a provider.
const WORDS: [&str; 1] = ["cursor"];
/// Where the mode may be matched on.
const MAY_MATCH_MODES: [&str; 2] = ["crates/auth", "crates/providers"];

pub(super) fn check() -> Result<()> {
    let slugs = slugs()?;
    let complaints = sources(&["crates"])?
        .into_iter()
        .filter(|(path, _)| is_program(path))
        .flat_map(|(path, text)| complaints(&path, before_tests(&text), &slugs));
    super::verdict(complaints.collect())
}

fn is_program(path: &Path) -> bool {
    let has = |folder: &str| path.components().any(|part| part.as_os_str() == folder);
    has("src") && !has("tests") && !path.ends_with("tests.rs")
}

fn before_tests(text: &str) -> &str {
    text.split("#[cfg(test)]").next().unwrap_or(text)
}

fn slugs() -> Result<Vec<String>> {
    let folder = workspace::root().join("providers");
    let entries = std::fs::read_dir(&folder).context("cannot read providers/")?;
    let mut slugs = Vec::new();
    for entry in entries {
        let path: PathBuf = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            slugs.extend(
                path.file_stem()
                    .and_then(|stem| stem.to_str())
                    .map(str::to_owned),
            );
        }
    }
    slugs.retain(|slug| !WORDS.contains(&slug.as_str()));
    Ok(slugs)
}

fn complaints(path: &Path, text: &str, slugs: &[String]) -> Vec<String> {
    let is_in = |places: &[&str]| places.iter().any(|place| path.starts_with(place));
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = format!("{}:{}", path.display(), index + 1);
        let code = line.split("//").next().unwrap_or(line);
        if !is_in(&MAY_NAME_PROVIDERS) {
            let named = slugs
                .iter()
                .filter(|slug| code.contains(&format!("\"{slug}\"")));
            found.extend(named.map(|slug| format!("{at} names provider {slug}")));
        }
        let is_arm = code.contains("AuthMode::") && code.contains("=>");
        if is_arm && !is_in(&MAY_MATCH_MODES) {
            found.push(format!("{at} matches on the auth mode"));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_a_provider_by_name_and_a_match_on_the_mode() {
        let slugs = ["github".to_owned()];
        let text =
            "if provider == \"github\" {}\nmatch m { AuthMode::Basic => 1 }\n// \"github\"\n";
        let in_proxy = complaints(Path::new("crates/proxy/src/call.rs"), text, &slugs);
        assert_eq!(
            in_proxy,
            [
                "crates/proxy/src/call.rs:1 names provider github",
                "crates/proxy/src/call.rs:2 matches on the auth mode",
            ]
        );
        let quirk = Path::new("crates/auth/src/quirks/github.rs");
        assert_eq!(complaints(quirk, text, &slugs), Vec::<String>::new());
        assert!(slugs_are_read());
    }

    fn slugs_are_read() -> bool {
        slugs().is_ok_and(|slugs| slugs.iter().any(|slug| slug == "demo"))
    }
}
