//! What the fuzzer checks, of its seeds and of texts made up here.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../../../fuzz/fuzz_targets/interpolate/check.rs"]
mod check;
#[path = "../../../../fuzz/fuzz_targets/template/check.rs"]
mod check_template;

/// What the fuzzer found to be wrong once, and some of what it starts from.
#[test]
fn files_hold() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let files = |folder: &str| {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        paths
    };
    let found = files("fuzz/corpus/template");
    assert!(found.len() >= 2, "{found:?}");
    let real = files("providers").into_iter().step_by(10);
    for path in found.into_iter().chain(real) {
        check_template::check(&fs::read(path).unwrap());
    }
}

#[test]
fn the_seeds_hold() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/interpolate");
    let mut count = 0;
    for entry in fs::read_dir(corpus).unwrap() {
        check::check(&fs::read(entry.unwrap().path()).unwrap());
        count += 1;
    }
    assert!(count > 20, "{count}");
}

/// Pieces of texts, so that what is made up often parses.
fn source() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "${apiKey}",
        "${connectionConfig.a}",
        "${credentials.b.c}",
        "${step1.d}",
        "${now:X}",
        "${now+7:days:YYYY}",
        "${random}",
        "${base64(",
        "${sha256Hex(",
        "${hmacSha1Hex(",
        "${awsSigV4(",
        ")}",
        "${",
        "}",
        " || ",
        "||",
        ", ",
        ":",
        "/",
        "?q=",
        "#",
        "@",
        "https://",
        "http://",
        ".example.com",
        "example.com",
        "%2F",
        "a",
        "\\",
        " ",
        "é",
    ]);
    prop::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

/// URLs with a placeholder in one place or another.
fn url() -> impl Strategy<Value = String> {
    "https://(api-)?(\\$\\{connectionConfig\\.a\\}|\\$\\{apiKey\\}|www)(\\.example\\.com|-x\\.io|:8443|)(/\\$\\{credentials\\.b\\}|/v1|\\?k=\\$\\{apiKey\\}|)"
}

/// Values with everything that means something in a URL.
fn value() -> impl Strategy<Value = String> {
    "([a-z0-9.]{0,6}|[/:@?#%\\\\]|%2f|%40|//|\\.\\.|evil\\.com|\\[::1\\]|127\\.0\\.0\\.1|\\$\\{|\\}|\\PC){0,6}"
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_the_text(source in source(), value in value()) {
        check::check(format!("{source}\0{value}").as_bytes());
    }

    #[test]
    fn whatever_the_value(url in url(), value in value()) {
        check::check(format!("{url}\0{value}").as_bytes());
    }

    #[test]
    fn whatever_the_bytes(input in prop::collection::vec(any::<u8>(), 0..64)) {
        check::check(&input);
    }
}
