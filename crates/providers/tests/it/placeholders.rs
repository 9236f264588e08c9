//! Every text with a placeholder of every known provider: it parses, and has the
//! value that replacing the innermost placeholder, again and again, would give.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should fail there"
)]

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path as File;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use linkspan_providers::interpolate::{CallError, Function, Path, Scope, Text};
use serde_json::Value;

/// Keys that nothing reads.
const DEAD: &[&str] = &["auth", "connection_configuration", "decode_url"];

/// Every text with a placeholder, and where it stands.
fn texts() -> Vec<(String, String)> {
    let file = File::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/facts/providers.jsonl");
    let facts = fs::read_to_string(file).unwrap();
    let mut found = Vec::new();
    for line in facts.lines() {
        let mut provider: Value = serde_json::from_str(line).unwrap();
        let name = provider["name"].as_str().unwrap().to_owned();
        let keys = provider.as_object_mut().unwrap();
        keys.retain(|key, _| !DEAD.contains(&key.as_str()));
        walk(&provider, &name, &mut found);
    }
    found
}

fn walk(value: &Value, place: &str, found: &mut Vec<(String, String)>) {
    match value {
        Value::String(text) if text.contains("${") => found.push((place.into(), text.clone())),
        Value::Array(items) => items.iter().for_each(|item| walk(item, place, found)),
        Value::Object(keys) => {
            for (key, value) in keys {
                walk(value, &format!("{place}.{key}"), found);
            }
        }
        _ => {}
    }
}

fn now() -> DateTime<Utc> {
    "2026-01-02T03:04:05.006Z".parse().unwrap()
}

fn value_of(path: &str) -> String {
    format!("<{path}>")
}

/// Gives every path a value, but those of the configuration if they are unset.
struct Known {
    is_configured: bool,
}

impl Known {
    fn has(&self, path: &str) -> bool {
        self.is_configured || !path.starts_with("connectionConfig.")
    }
}

impl Scope for Known {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        let path = path.as_str();
        self.has(path).then(|| Cow::Owned(value_of(path)))
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        Some(now())
    }

    fn call(&self, function: Function, arguments: &[String]) -> Result<String, CallError> {
        Ok(shown(function.as_str(), arguments))
    }
}

fn shown(function: &str, arguments: &[String]) -> String {
    format!("{function}<{}>", arguments.join("|"))
}

/// The value of a text, by replacing; nothing if a path has none.
fn replaced(source: &str, scope: &Known) -> Option<String> {
    let mut text = source.to_owned();
    while let Some(start) = text.rfind("${") {
        // The last one that begins has none inside.
        let end = if text[start..].split('}').next()?.contains('(') {
            start + text[start..].find(")}")? + 1
        } else {
            start + text[start..].find('}')?
        };
        let value = innermost(&text[start + 2..end], scope)?;
        text.replace_range(start..=end, &value);
    }
    Some(text)
}

fn innermost(inside: &str, scope: &Known) -> Option<String> {
    let Some((function, arguments)) = inside.split_once('(') else {
        return plain(inside, scope);
    };
    let arguments = arguments.strip_suffix(')')?;
    let parts: Vec<String> = match function {
        "awsSigV4" => arguments
            .split(',')
            .map(|part| part.trim().into())
            .collect(),
        "hmacSha1Hex" | "ed25519Sign" => {
            let (message, key) = arguments.rsplit_once(',')?;
            vec![message.trim_end().into(), key.trim_start().into()]
        }
        _ => vec![arguments.into()],
    };
    Some(match function {
        "base64" => STANDARD.encode(arguments),
        function => shown(function, &parts),
    })
}

fn plain(name: &str, scope: &Known) -> Option<String> {
    // Written out here, not by the format's own code.
    let time = match name {
        "now" => "2026-01-02T03:04:05.006Z",
        "now:YYYY-MM-DDTHH:mm:ss" => "2026-01-02T03:04:05",
        "now:YYYYMMDDTHHmmss[Z]" => "20260102T030405Z",
        "now:ddd, DD MMM YYYY HH:mm:ss ZZ" => "Fri, 02 Jan 2026 03:04:05 +0000",
        "now:X" => "1767323045",
        "now+1:minutes:X" => "1767323105",
        "now+7:days:YYYY-MM-DD" => "2026-01-09",
        name => {
            assert!(!name.starts_with("now"), "{name}");
            return scope.has(name).then(|| value_of(name));
        }
    };
    Some(time.to_owned())
}

#[test]
fn every_known_text_has_its_value() {
    let texts = texts();
    assert_eq!(texts.len(), 1_288);
    let mut fallbacks = 0;
    for (place, source) in &texts {
        let text = Text::parse(source).unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(&text.to_string(), source);
        for is_configured in [true, false] {
            let scope = Known { is_configured };
            let mut alternatives = source.split(" || ");
            let expected = alternatives.find_map(|source| replaced(source, &scope));
            assert_eq!(text.evaluate(&scope).ok(), expected, "{place}: {source}");
            fallbacks += usize::from(source.contains(" || "));
        }
    }
    assert_eq!(fallbacks / 2, 45);
}

#[test]
fn all_functions_are_used_and_no_other() {
    let mut names = BTreeSet::new();
    for (_, source) in texts() {
        for piece in source.split("${").skip(1) {
            if let Some((name, _)) = piece.split_once('(')
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
            {
                names.insert(name.to_owned());
            }
        }
    }
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "awsSigV4",
            "base64",
            "ed25519Sign",
            "fingerprint",
            "hmacSha1Hex",
            "sha256Base64",
            "sha256Hex"
        ]
    );
}
