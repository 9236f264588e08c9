//! What must hold of every file that is given for a template: for the fuzzer, and
//! for the tests of `linkspan-providers`, which include this file.

use linkspan_providers::{Catalogue, Source};

const SLUG: &str = "fuzzed";

/// The input is the text of a file.
///
/// # Panics
/// If anything is not as it must be.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    // Each of these ends a line in some version of YAML.
    let breaks = ['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}'];
    let lines = text.split(breaks).count();
    let read = |slug: &str, text: &str| {
        let source = Source {
            slug: slug.to_owned(),
            path: format!("{slug}.yaml").into(),
            text: Ok(text.to_owned()),
        };
        Catalogue::default().with(vec![source], &Catalogue::default(), &[])
    };
    let (catalogue, findings) = read(SLUG, text);
    let is_wrong = findings.iter().any(linkspan_providers::Finding::is_error);
    assert_eq!(catalogue.get(SLUG).is_none(), is_wrong, "{findings:?}");
    for finding in &findings {
        assert!(!finding.message.is_empty());
        if let Some((line, column)) = finding.position {
            // A file that ends too early is wrong in the line after its last.
            assert!((1..=lines + 1).contains(&line), "{finding:?}");
            assert!(column >= 1, "{finding:?}");
        }
    }
    // What is shown of a template is read as the same template.
    if let Some(shown) = catalogue.yaml(SLUG, true) {
        let (again, findings) = read(SLUG, &shown);
        let entry = |catalogue: &Catalogue| {
            let entry = catalogue.entry(SLUG);
            entry.map(|entry| entry.json.to_owned())
        };
        assert_eq!(entry(&again), entry(&catalogue), "{shown}\n{findings:?}");
    }
}
