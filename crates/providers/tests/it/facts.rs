//! Every known provider's facts are of the format, and none are lost in it.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should fail there"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use linkspan_providers::{Catalogue, Template, TemplateError};
use serde_json::{Map, Value, json};

/// Keys that nothing ever read; they are not part of the format.
const DEAD: &[&str] = &[
    "auth",
    "connection_configuration",
    "decode_url",
    "refresh_token_response_metadata",
];

/// Those that have one.
const WITH_DEAD_KEYS: &[&str] = &[
    "airtable", "asana", "attio", "aws", "bullhorn", "hubspot", "jira", "squareup",
];

type Keys = Map<String, Value>;

struct Known {
    keys: Keys,
    template: Template,
}

/// The known one that lacks what its mode requires: its template says so, and the
/// facts by themselves would be refused.
const INCOMPLETE: &str = "certn-partner";

/// All facts as they are, but for the dead keys, aliases over their parents.
fn resolved() -> Vec<Value> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/facts/providers.jsonl");
    let mut all: BTreeMap<String, Keys> = BTreeMap::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        let mut keys: Keys = serde_json::from_str(line).unwrap();
        keys.retain(|key, _| !DEAD.contains(&key.as_str()));
        all.insert(keys["name"].as_str().unwrap().to_owned(), keys);
    }
    let over = |keys: &Keys| resolve(keys, &all);
    all.values().map(over).map(Value::Object).collect()
}

fn resolve(own: &Keys, all: &BTreeMap<String, Keys>) -> Keys {
    let parent = own.get("alias").and_then(Value::as_str);
    let mut keys = parent
        .map(|parent| resolve(&all[parent], all))
        .unwrap_or_default();
    keys.extend(own.clone());
    keys
}

/// Reads all facts.
fn known() -> BTreeMap<String, Known> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/facts/providers.jsonl");
    let text = fs::read_to_string(file).unwrap();
    let (aliases, others): (Vec<Keys>, Vec<Keys>) = text
        .lines()
        .map(|line| serde_json::from_str::<Keys>(line).unwrap())
        .partition(|keys| keys.contains_key("alias"));
    let mut all = BTreeMap::new();
    // An alias of an alias stands after it in the file.
    for mut own in others.into_iter().chain(aliases) {
        own.retain(|key, _| !DEAD.contains(&key.as_str()));
        let slug = own["name"].as_str().unwrap().to_owned();
        if slug == INCOMPLETE {
            let message = read(&slug, own.clone(), &all).err().unwrap().message;
            assert_eq!(message, "token_url: required by auth_mode OAUTH2_CC");
            own.insert("known_fault".to_owned(), json!("None is known."));
        }
        let read = read(&slug, own, &all).unwrap();
        all.insert(slug, read);
    }
    all
}

fn read(slug: &str, own: Keys, all: &BTreeMap<String, Known>) -> Result<Known, TemplateError> {
    let Some(parent) = own.get("alias").and_then(Value::as_str) else {
        let template = Template::from_keys(slug, own.clone())?;
        return Ok(Known {
            keys: own,
            template,
        });
    };
    let parent = &all[parent];
    let template = Template::overlay(slug, own.clone(), &parent.template)?;
    let mut keys = parent.keys.clone();
    keys.extend(own);
    Ok(Known { keys, template })
}

#[test]
fn all_facts_are_templates_and_come_back_unchanged() {
    let known = known();
    assert_eq!(known.len(), 981);
    let mut changed = Vec::new();
    for (slug, known) in &known {
        let mut expected = Value::Object(known.keys.clone());
        match slug.as_str() {
            // A number that is written as a text.
            "sap-success-factors" => {
                expected["assertion"]["lifetimeInSeconds"] = json!(315_360_000);
            }
            // Header names in capitals, which mean the same.
            "pverify" | "sap-fieldglass" => {
                let headers = expected["token_headers"].as_object_mut().unwrap();
                *headers = std::mem::take(headers)
                    .into_iter()
                    .map(|(name, value)| (name.to_lowercase(), value))
                    .collect();
            }
            _ => {}
        }
        if serde_json::to_value(&known.template).unwrap() != expected {
            changed.push(slug);
        }
    }
    assert_eq!(changed, [""; 0]);
}

#[test]
fn an_unknown_key_is_refused_at_any_depth() {
    let known = known();
    let mut count = 0;
    for (slug, known) in &known {
        for path in maps(&Value::Object(known.keys.clone()), String::new()) {
            let mut keys = Value::Object(known.keys.clone());
            keys.pointer_mut(&path).unwrap()["unknownKey"] = json!("x");
            let Value::Object(keys) = keys else {
                unreachable!()
            };
            if Template::from_keys(slug, keys).is_ok() {
                panic!("{slug}{path} takes an unknown key");
            }
            count += 1;
        }
    }
    assert!(count > 3000, "{count}");
}

/// The places of maps whose keys the format defines.
fn maps(value: &Value, path: String) -> Vec<String> {
    const FREE: &[&str] = &[
        "/assertion/attributes",
        "/assertion/header",
        "/assertion/payload",
        "/assertion_option",
        "/authorization_params",
        "/authorization_url_replacements",
        "/connection_config",
        "/credentials",
        "/integration_config",
        "/proxy/body",
        "/proxy/connection_config",
        "/proxy/headers",
        "/proxy/query",
        "/proxy/verification/data",
        "/proxy/verification/headers",
        "/refresh_params",
        "/refresh_token_headers",
        "/refresh_token_params",
        "/registration_params",
        "/request_params",
        "/token/header",
        "/token/payload",
        "/token_headers",
        "/token_params",
    ];
    const FIELDS: &[&str] = &[
        "/assertion_option",
        "/connection_config",
        "/credentials",
        "/integration_config",
    ];
    let mut found = Vec::new();
    let inner: Vec<(String, &Value)> = match value {
        Value::Object(entries) => entries
            .iter()
            .map(|(key, value)| (key.clone(), value))
            .collect(),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, value)| (index.to_string(), value))
            .collect(),
        _ => return found,
    };
    let unstepped = path
        .trim_start_matches("/additional_steps")
        .trim_start_matches(['/', '0', '1', '2']);
    let is_free = FREE.contains(&path.as_str()) || FREE.contains(&format!("/{unstepped}").as_str());
    if value.is_object() && !is_free {
        found.push(path.clone());
    }
    if !is_free || FIELDS.contains(&path.as_str()) {
        for (key, value) in inner {
            found.extend(maps(value, format!("{path}/{key}")));
        }
    }
    found
}

#[test]
fn dead_keys_are_refused() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../simulator/facts/providers.jsonl");
    let mut refused = Vec::new();
    for line in fs::read_to_string(file).unwrap().lines() {
        let keys: Keys = serde_json::from_str(line).unwrap();
        if keys.contains_key("alias") || !keys.keys().any(|key| DEAD.contains(&key.as_str())) {
            continue;
        }
        let slug = keys["name"].as_str().unwrap().to_owned();
        assert!(Template::from_keys(&slug, keys).is_err(), "{slug}");
        refused.push(slug);
    }
    assert_eq!(refused, WITH_DEAD_KEYS);
}

/// What a template's file adds to the facts: words for people, what is secret,
/// and keys of our own.
fn without_ours(value: &mut Value) {
    if let Some(template) = value.as_object_mut() {
        template.remove("docs");
        template.remove("known_fault");
        template.remove("quirk");
    }
    for group in [
        "credentials",
        "assertion_option",
        "connection_config",
        "integration_config",
    ] {
        for field in value[group]
            .as_object_mut()
            .into_iter()
            .flat_map(|fields| fields.values_mut())
        {
            if let Some(field) = field.as_object_mut() {
                field.remove("description");
                field.remove("secret");
            }
        }
    }
}

#[test]
fn every_built_in_template_states_the_facts() {
    let builtin = Catalogue::builtin().unwrap();
    let mut compared = 0;
    for mut facts in resolved() {
        let slug = facts["name"].as_str().unwrap().to_owned();
        let mut ours = serde_json::from_str(builtin.entry(&slug).unwrap().json).unwrap();
        without_ours(&mut ours);
        without_ours(&mut facts);
        assert_eq!(ours, facts, "{slug}");
        compared += 1;
    }
    assert_eq!(compared, 981);
    assert_eq!(compared + 1, builtin.entries().count(), "and the demo");
}

#[test]
fn secrets_and_help_are_stated_where_facts_leave_them_out() {
    let builtin = Catalogue::builtin().unwrap();
    for template in builtin.iter() {
        for (name, field) in &template.credentials.0 {
            let is_shown = !field.hidden && !field.automated;
            assert!(
                !is_shown || field.description.is_some(),
                "{}.{name} has no help",
                template.slug
            );
            let is_key = matches!(name.as_str(), "apiKey" | "password");
            assert!(
                !is_key || field.secret || field.hidden,
                "{}.{name} is not secret",
                template.slug
            );
        }
    }
}
