//! Built-in templates whose requests go to a server of the test instead of the
//! provider.

use std::fs;
use std::path::Path;

use serde_yaml::{Mapping, Value};
use tempfile::TempDir;

/// The keys, at any depth, whose value is an address that is called. Others
/// that look like one, such as the audience of an assertion, stay.
const ADDRESSES: [&str; 8] = [
    "authorization_url",
    "token_url",
    "refresh_url",
    "request_url",
    "registration_url",
    "base_url",
    "base_url_override",
    "mcp_server_url",
];

/// The YAML of the built-in template `slug`, its alias resolved, with
/// `https://api.x.com/v1` replaced by `<to>/api.x.com/v1`: the server at `to`
/// sees the provider's host as the first segment of the path. A host that a
/// placeholder brings (`https://${connectionConfig.host}`) is such a segment
/// too; an address that is a placeholder as a whole stays one.
///
/// # Panics
/// When there is no such template.
#[must_use]
pub fn relocate(slug: &str, to: &str) -> String {
    let mut template = read(slug);
    for (key, value) in &mut template {
        walk(key.as_str().unwrap_or_default(), value, to);
    }
    serde_yaml::to_string(&template).expect("YAML that was read can be written")
}

/// A folder for `LINKSPAN_PROVIDERS_DIR` with these templates, relocated.
///
/// # Panics
/// When there is no such template.
#[must_use]
pub fn relocated(slugs: &[&str], to: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for slug in slugs {
        let file = folder.path().join(format!("{slug}.yaml"));
        fs::write(file, relocate(slug, to)).expect("a file in a new folder");
    }
    folder
}

fn read(slug: &str) -> Mapping {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let file = folder.join(format!("{slug}.yaml"));
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{slug}: {error}"));
    let mut own: Mapping = serde_yaml::from_str(&text).expect("a template is a map");
    let Some(parent) = own.remove("alias") else {
        return own;
    };
    let mut whole = read(parent.as_str().expect("a slug"));
    whole.extend(own);
    whole
}

fn walk(key: &str, value: &mut Value, to: &str) {
    match value {
        Value::String(text) if ADDRESSES.contains(&key) => {
            *text = text.replace("https://", &format!("{}/", to.trim_end_matches('/')));
        }
        Value::Mapping(entries) => {
            for (name, value) in entries {
                // `token_url` may be a map of addresses (CUSTOM).
                let name = if key == "token_url" {
                    key
                } else {
                    name.as_str().unwrap_or_default()
                };
                walk(name, value, to);
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(|item| walk(key, item, to)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_move() {
        let moved = relocate("github-app-oauth", "http://127.0.0.1:9/");
        let moved: Value = serde_yaml::from_str(&moved).unwrap();
        let app = moved["token_url"]["APP"].as_str().unwrap();
        assert!(
            app.starts_with("http://127.0.0.1:9/api.github.com/"),
            "{app}"
        );
        let base = moved["proxy"]["base_url"].as_str().unwrap();
        assert_eq!(base, "http://127.0.0.1:9/api.github.com");
    }

    #[test]
    fn an_alias_stands_on_its_own() {
        let moved = relocate("bill-sandbox", "http://127.0.0.1:9");
        let moved: Value = serde_yaml::from_str(&moved).unwrap();
        assert_eq!(
            (moved["auth_mode"].as_str(), moved.get("alias")),
            (Some("BILL"), None)
        );
    }
}
