//! Every error code of the API has its line in docs/errors.md, with its status.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use crate::workspace;

const TABLE: &str = "crates/api/src/error.rs";
const PAGE: &str = "docs/errors.md";

pub(super) fn check() -> Result<()> {
    let read = |path: &str| {
        std::fs::read_to_string(workspace::root().join(path))
            .with_context(|| format!("cannot read {path}"))
    };
    let table = read(TABLE)?;
    let codes = codes(&table);
    if codes.is_empty() {
        bail!("{TABLE} has no line of the form `Variant = \"code\", status, \"meaning\";`");
    }
    super::verdict(complaints(&codes, &read(PAGE)?))
}

/// The code and status of each `Variant = "code", status, "meaning";`.
fn codes(table: &str) -> BTreeMap<&str, &str> {
    let entry = |line| -> Option<(&str, &str)> {
        let (_, right) = str::split_once(line, " = \"")?;
        let (code, rest) = right.split_once("\", ")?;
        let (status, _) = rest.split_once(", \"")?;
        status.parse::<u16>().ok()?;
        Some((code, status))
    };
    table.lines().filter_map(entry).collect()
}

fn complaints(codes: &BTreeMap<&str, &str>, page: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for (code, status) in codes {
        match page
            .lines()
            .find(|line| line.contains(&format!("`{code}`")))
        {
            None => complaints.push(format!("{PAGE} has no line for `{code}`")),
            Some(line) if !line.contains(status) => {
                complaints.push(format!("{PAGE} does not give `{code}` its status {status}"));
            }
            Some(_) => {}
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "
        $($variant:ident = $code:literal, $status:literal, $meaning:literal;)*
        Forbidden = \"forbidden\", 403, \"The key lacks a scope.\";
        NotFound = \"not_found\", 404, \"There is nothing here.\";
        let name = \"x\";
    ";

    #[test]
    fn reads_the_table() {
        let expected = [("forbidden", "403"), ("not_found", "404")];
        assert_eq!(codes(TABLE), expected.into_iter().collect());
    }

    #[test]
    fn a_missing_line_and_a_wrong_status_are_named() {
        let page = "| `forbidden` | 403 | … |\n| `not_found` | 400 | … |\n";
        assert_eq!(
            complaints(&codes(TABLE), page),
            ["docs/errors.md does not give `not_found` its status 404"]
        );
        let page = "| `not_found` | 404 | … |\n";
        assert_eq!(
            complaints(&codes(TABLE), page),
            ["docs/errors.md has no line for `forbidden`"]
        );
    }
}
