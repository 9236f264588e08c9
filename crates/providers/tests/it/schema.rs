//! The JSON schema takes what the program takes, and refuses what it refuses.

use std::fs;
use std::path::Path;

use linkspan_providers::{Template, schema};
use serde_json::{Value, json};

#[test]
fn every_template_fits_the_schema() {
    let schema = schema::document();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../providers");
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let keys: Value = serde_yaml::from_str(&text).unwrap();
        if let Err(error) = validator.validate(&keys) {
            panic!("{}: {error} at {}", path.display(), error.instance_path());
        }
        count += 1;
    }
    assert_eq!(count, 982);
}

#[test]
fn mistakes_do_not_fit_the_schema() {
    let schema = schema::document();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let good = json!({
        "display_name": "X", "categories": ["crm"], "auth_mode": "API_KEY",
        "credentials": { "apiKey": { "type": "string", "title": "K" } },
        "proxy": { "base_url": "https://a", "headers": { "x-a": "b" },
                   "paginate": { "type": "link" }, "verification": { "endpoints": ["/"] } },
    });
    assert!(validator.is_valid(&good));
    assert!(validator.is_valid(&json!({ "alias": "x", "display_name": "Y" })));
    for (pointer, value) in [
        ("/unknown", json!(1)),
        ("/name", json!("x")),
        ("/auth_mode", json!("NOPE")),
        ("/categories", json!("crm")),
        ("/display_name", Value::Null),
        ("/credentials/apiKey/titel", json!("K")),
        ("/credentials/apiKey/type", json!("number")),
        ("/proxy/unknown", json!(1)),
        ("/proxy/headers/a b", json!("x")),
        ("/proxy/paginate/type", json!("page")),
        ("/proxy/paginate/unknown", json!("x")),
        ("/proxy/verification/method", json!("TRACE")),
        ("/proxy/retry", json!({ "in_body": { "path": "a" } })),
        ("/token_url", json!({ "OAUTH2": "https://a" })),
        (
            "/assertion",
            json!({ "type": "jwt", "key": "k", "lifetimeInSeconds": "x", "header": {}, "payload": {} }),
        ),
    ] {
        let mut bad = good.clone();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        bad.pointer_mut(parent).unwrap()[key] = value;
        assert!(!validator.is_valid(&bad), "{pointer}");
        let Value::Object(keys) = bad else {
            unreachable!()
        };
        // `name` is how a template is shown; reading takes it away.
        assert!(
            pointer == "/name" || Template::from_keys("x", keys).is_err(),
            "{pointer}"
        );
    }
}

#[test]
fn the_schema_describes_every_key() {
    let schema = schema::document();
    let keys = schema["properties"].as_object().unwrap();
    assert!(keys.len() > 60, "{}", keys.len());
    assert!(!keys.contains_key("name"));
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/providers.md");
    let page = fs::read_to_string(page).unwrap();
    let documented = |key: &str| page.contains(&format!("`{key}`"));
    let mut missing: Vec<&String> = keys.keys().filter(|key| !documented(key)).collect();
    for definition in [
        "Proxy",
        "Field",
        "Verification",
        "Retry",
        "RetryInBody",
        "TokenResponse",
        "SelfSigned",
        "Signature",
        "Step",
    ] {
        let own = schema["$defs"][definition]["properties"]
            .as_object()
            .unwrap();
        missing.extend(own.keys().filter(|key| !documented(key)));
    }
    assert!(
        missing.is_empty(),
        "docs/providers.md says nothing of {missing:?}"
    );
    let text = schema.to_string();
    assert!(
        !text.contains("CONTRACT") && !text.contains("crate"),
        "words for us only"
    );
}
