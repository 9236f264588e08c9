//! The description of imported credentials beside what reads them.

use linkspan_providers::Catalogue;
use serde_json::{Value, json};

use super::document::Document;

/// A provider of each type, with all that its credentials may be; more than one
/// where forms exclude each other.
fn complete() -> Vec<(&'static str, Value)> {
    let client = json!({ "client_id": "i", "client_secret": "s" });
    let time = "2035-01-02T03:04:05Z";
    vec![
        (
            "github",
            json!({ "type": "OAUTH2", "access_token": "a", "refresh_token": "r",
                "expires_at": time, "config_override": client }),
        ),
        (
            "linear-mcp",
            json!({ "type": "OAUTH2", "access_token": "a" }),
        ),
        (
            "twitter",
            json!({ "type": "OAUTH1", "oauth_token": "t", "oauth_token_secret": "s",
                "config_override": client }),
        ),
        (
            "auth0-cc",
            json!({ "type": "OAUTH2_CC", "client_id": "i", "client_secret": "s",
                "client_certificate": "c", "client_private_key": "k", "token": "t",
                "expires_at": time }),
        ),
        (
            "private-api-bearer",
            json!({ "type": "API_KEY", "apiKey": "k" }),
        ),
        (
            "private-api-basic",
            json!({ "type": "BASIC", "username": "u", "password": "p" }),
        ),
        (
            "netsuite-tba",
            json!({ "type": "TBA", "token_id": "t", "token_secret": "s",
                "config_override": client }),
        ),
        (
            "github-app",
            json!({ "type": "APP", "installation_id": "1", "app_id": "2" }),
        ),
        (
            "github-app-oauth",
            json!({ "type": "CUSTOM", "installation_id": "1", "app_id": "2" }),
        ),
        (
            "bill",
            json!({ "type": "BILL", "username": "u", "password": "p",
                "organization_id": "o", "dev_key": "k" }),
        ),
        (
            "emarsys",
            json!({ "type": "SIGNATURE", "username": "u", "password": "p" }),
        ),
        (
            "aws-sigv4",
            json!({ "type": "AWS_SIGV4", "role_arn": "arn:aws:iam::1:role/r",
                "region": "eu-west-1" }),
        ),
        (
            "3cx",
            json!({ "type": "TWO_STEP", "token": "t", "refresh_token": "r",
                "expires_at": time, "assertionOption": { "a": "b" } }),
        ),
        (
            "ghost-admin",
            json!({ "type": "JWT", "privateKey": "k:00" }),
        ),
        (
            "ghost-admin",
            json!({ "type": "JWT", "privateKey": { "id": "k", "secret": "00" } }),
        ),
        ("unauthenticated", json!({ "type": "NONE" })),
    ]
}

/// The credentials, and what they are with one thing changed.
fn variants(complete: &Value) -> Vec<Value> {
    let mut found = vec![complete.clone()];
    for (name, value) in complete.as_object().unwrap() {
        let mut without = complete.clone();
        without.as_object_mut().unwrap().remove(name);
        found.push(without);
        for other in [json!(null), json!(""), json!(1), json!({}), json!(["x"])] {
            let mut changed = complete.clone();
            changed[name] = other;
            found.push(changed);
        }
        for part in value.as_object().into_iter().flat_map(|parts| parts.keys()) {
            for other in [json!(null), json!(1)] {
                let mut changed = complete.clone();
                changed[name][part] = other;
                found.push(changed);
            }
            let mut more = complete.clone();
            more[name]["more"] = json!("x");
            found.push(more);
        }
    }
    let mut more = complete.clone();
    more["more"] = json!(1);
    found.push(more);
    found
}

/// What a schema cannot say, or does not for its readers' sake.
fn is_beyond_a_schema(given: &Value) -> bool {
    // An empty time is taken as none; `format` has no such thing.
    let time = &given["expires_at"];
    // A client is an id with a secret; the secret alone is nobody's, and only a
    // public client has none.
    let client = &given["config_override"];
    let is_half =
        client.is_object() && client["client_id"].is_null() != client["client_secret"].is_null();
    *time == "" || is_half
}

#[test]
fn imported_credentials_are_read_as_they_are_described() {
    let ours = Document::ours();
    let body = ours.body(&ours.operations()["POST /connections"]["requestBody"]);
    let schema = &ours.resolve(body.unwrap())["properties"]["credentials"];
    let catalogue = Catalogue::builtin().unwrap();
    let mut counts = [0; 2];
    let mut wrong = Vec::new();
    for (slug, complete) in complete() {
        let template = catalogue.get(slug).unwrap();
        for given in variants(&complete) {
            let is_described = ours.misfits(schema, &given).is_empty();
            let read = linkspan_auth::import(template, given.as_object().unwrap().clone());
            counts[usize::from(read.is_ok())] += 1;
            if is_described != read.is_ok() && !is_beyond_a_schema(&given) {
                let mistakes = read.err();
                wrong.push(format!(
                    "{slug}: {given}: described {is_described}, {mistakes:?}"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}

#[test]
fn a_provider_of_every_mode_can_be_imported() {
    let ours = Document::ours();
    let schema = &ours.0["components"]["schemas"]["ImportedCredentials"]["oneOf"];
    let mut described: Vec<_> = super::document::list(schema)
        .map(|form| ours.resolve(form)["properties"]["type"]["enum"][0].clone())
        .map(|kind| kind.as_str().unwrap().to_owned())
        .collect();
    let mut shown: Vec<_> = complete()
        .into_iter()
        .map(|(_, given)| given["type"].as_str().unwrap().to_owned())
        .collect();
    for kinds in [&mut described, &mut shown] {
        kinds.sort();
        kinds.dedup();
    }
    assert_eq!(described, shown);
    assert_eq!(described.len(), 14);
}
