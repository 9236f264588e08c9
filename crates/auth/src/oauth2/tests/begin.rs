use std::collections::BTreeMap;

use linkspan_providers::Config;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use super::*;
use crate::oauth2::pkce;
use crate::redirect::{Request, callback_metadata};

fn authorize(added: &str, client: &Client, extras: &[(&str, &str)]) -> (Url, Option<SecretString>) {
    let template = template(added);
    let connection = json!({ "sub": "acme" });
    let connection = connection.as_object().unwrap();
    let config = Config {
        template: &template,
        connection,
        integration: &Map::new(),
    };
    let extras = extras
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let request = Request {
        redirect_uri: "http://localhost/cb",
        state: "state-1",
        authorization_params: &extras,
        identity: Default::default(),
    };
    let begun = begin(client, &config, &request).unwrap();
    (begun.authorize_url, begun.kept.pkce_verifier)
}

fn query(url: &Url) -> BTreeMap<String, String> {
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    let query: BTreeMap<_, _> = pairs.iter().cloned().collect();
    assert_eq!(query.len(), pairs.len(), "a parameter is repeated: {url}");
    query
}

#[test]
fn the_authorize_url_has_all_parts() {
    let added = "default_scopes: [a, b]\nauthorization_params: { prompt: consent, n: 1, x: '${connectionConfig.none}' }";
    let (url, verifier) = authorize(added, &client(), &[("login_hint", "me")]);
    assert_eq!(
        (url.host_str(), url.path()),
        (Some("acme.t.com"), "/authorize")
    );
    let challenge = pkce::challenge(verifier.unwrap().expose_secret());
    let expected = [
        ("audience", "a"),
        ("client_id", "id 1"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
        ("login_hint", "me"),
        ("n", "1"),
        ("prompt", "consent"),
        ("redirect_uri", "http://localhost/cb"),
        ("response_type", "code"),
        ("scope", "a b"),
        ("state", "state-1"),
    ];
    let expected = expected.map(|(k, v)| (k.to_owned(), v.to_owned()));
    assert_eq!(query(&url), BTreeMap::from(expected));
}

#[test]
fn scopes_are_the_integrations_joined_as_the_template_says() {
    let mut client = client();
    let scope =
        |added: &str, client: &Client| query(&authorize(added, client, &[]).0).remove("scope");
    assert_eq!(scope("", &client), None);
    assert_eq!(scope("default_scopes: [d]", &client).as_deref(), Some("d"));
    client.scopes = vec!["x".into(), "y".into()];
    assert_eq!(
        scope("default_scopes: [d]", &client).as_deref(),
        Some("x y")
    );
    assert_eq!(
        scope("scope_separator: ','", &client).as_deref(),
        Some("x,y")
    );
    assert_eq!(
        scope("authorization_params: { scope: fix }", &client).as_deref(),
        Some("fix")
    );
}

#[test]
fn extras_replace_the_templates_parameters_but_not_the_flows() {
    let extras = [
        ("client_id", "evil"),
        ("code_challenge", "evil"),
        ("code_challenge_method", "plain"),
        ("redirect_uri", "https://evil.com"),
        ("response_type", "token"),
        ("scope", "evil"),
        ("state", "evil"),
    ];
    let (url, _) = authorize("", &client(), &extras);
    assert!(!url.as_str().contains("evil"), "{url}");
    assert_eq!(query(&url)["response_type"], "code");
    assert_eq!(query(&url)["code_challenge_method"], "S256");
    let (url, _) = authorize(
        "authorization_params: { prompt: a }",
        &client(),
        &[("prompt", "b")],
    );
    assert_eq!(query(&url)["prompt"], "b");
}

#[test]
fn pkce_can_be_off() {
    let (url, verifier) = authorize("disable_pkce: true", &client(), &[]);
    assert!(verifier.is_none());
    assert!(!url.as_str().contains("code_challenge"), "{url}");
}

#[test]
fn the_callbacks_metadata_is_what_the_template_names() {
    let template = template("redirect_uri_metadata: [realmId, none]");
    let query = [("realmId", "9"), ("code", "c")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let metadata = callback_metadata(&template, &BTreeMap::from(query));
    assert_eq!(Value::Object(metadata), json!({ "realmId": "9" }));
}
