//! What a template can say about a provider that deviates from the standards,
//! and what a connection can bring in place of the integration's client.

use std::collections::BTreeMap;

use linkspan_providers::{Catalogue, Config};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use url::Url;

use super::exchange::Scripted;
use super::*;
use crate::oauth2::begin::code_param;
use crate::redirect::Request;

/// The authorize URL for a template, the connection's values and the caller's
/// parameters.
fn authorize(template: &Template, connection: &Value, extras: &[(&str, &str)]) -> Url {
    let config = Config {
        template,
        connection: connection.as_object().unwrap(),
        integration: &Map::new(),
    };
    let extras = extras
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let request = Request {
        redirect_uri: "http://localhost/cb",
        state: "s",
        authorization_params: &extras,
        identity: Default::default(),
    };
    begin(&client(), &config, &request).unwrap().authorize_url
}

fn acme(added: &str, extras: &[(&str, &str)]) -> String {
    let template = template(&format!("disable_pkce: true\n{added}"));
    authorize(&template, &json!({ "sub": "acme" }), extras).into()
}

#[test]
fn the_authorize_url_is_bent_as_the_template_says() {
    const BASE: &str = "https://acme.t.com/authorize";
    for (added, expected) in [
        (
            "authorization_url_replacements: { response_type: '' }",
            "?audience=a&client_id=id+1&redirect_uri=http%3A%2F%2Flocalhost%2Fcb&state=s",
        ),
        (
            "authorization_url_replacements: { client_id: client_key, 'redirect_uri=': 'redirectUri=', state: customField }",
            "?response_type=code&audience=a&client_key=id+1&redirectUri=http%3A%2F%2Flocalhost%2Fcb&customField=s",
        ),
        (
            "authorization_url_fragment: oauth/authorize",
            "#oauth/authorize?response_type=code&audience=a&client_id=id+1&redirect_uri=http%3A%2F%2Flocalhost%2Fcb&state=s",
        ),
        (
            "authorization_url_skip_encode: [scopes]\ndefault_scopes: ['a:read', 'b/c&d']",
            "?response_type=code&audience=a&scope=a:read%20b/c%26d&client_id=id+1&redirect_uri=http%3A%2F%2Flocalhost%2Fcb&state=s",
        ),
        (
            "authorization_url_skip_empty: true\nauthorization_params: { audience: '', scope: '' }",
            "?response_type=code&client_id=id+1&redirect_uri=http%3A%2F%2Flocalhost%2Fcb&state=s",
        ),
    ] {
        assert_eq!(acme(added, &[]), format!("{BASE}{expected}"), "{added}");
    }
}

#[test]
fn user_scopes_reach_the_provider_that_has_them_and_no_other() {
    let extras = [("user_scope", "x y")];
    assert!(!acme("", &extras).contains("user_scope"));
    let catalogue = Catalogue::builtin().unwrap();
    let slack = authorize(catalogue.get("slack").unwrap(), &json!({}), &extras);
    assert!(slack.as_str().contains("&user_scope=x%2Cy&"), "{slack}");
}

#[test]
fn the_code_may_come_under_another_name() {
    assert_eq!(code_param(&template("")), "code");
    let other = template("authorization_code_param_in_callback: spapi_oauth_code");
    assert_eq!(code_param(&other), "spapi_oauth_code");
}

async fn exchange(added: &str, connection: Value, answer: &str) -> (Finished, Scripted) {
    let template = template(added);
    let connection = connection.as_object().unwrap();
    let config = Config {
        template: &template,
        connection,
        integration: &Map::new(),
    };
    let grant = CodeGrant {
        code: &"c".into(),
        redirect_uri: Some("http://x"),
        pkce_verifier: None,
    };
    let endpoint = Scripted::new(200, answer);
    let finished = crate::oauth2::exchange(&client(), &config, &grant, &endpoint)
        .await
        .unwrap();
    (finished, endpoint)
}

const TOKEN: &str = r#"{"access_token":"a"}"#;

#[tokio::test]
async fn client_and_parameters_go_where_the_template_says() {
    let (_, endpoint) = exchange("token_request_auth_method: custom", json!({}), TOKEN).await;
    let (_, authorization, body) = endpoint.seen();
    assert_eq!(authorization, None);
    assert!(
        body.contains("password=s%2F1&") && body.ends_with("&username=id+1"),
        "{body}"
    );

    let (_, endpoint) = exchange("body_format: query", json!({}), TOKEN).await;
    let uri = endpoint.uri();
    let query: BTreeMap<_, _> = uri.query_pairs().into_owned().collect();
    assert_eq!(
        (query["code"].as_str(), query["client_id"].as_str()),
        ("c", "id 1")
    );
    assert_eq!(endpoint.seen().2, "");
}

#[tokio::test]
async fn milliseconds_are_not_taken_for_seconds() {
    let answer = r#"{"access_token":"a","expires_in":"60000"}"#;
    for (added, seconds) in [("", 60_000), ("expires_in_unit: milliseconds", 60)] {
        let (finished, _) = exchange(added, json!({}), answer).await;
        let tokens = tokens(&finished);
        let life = tokens.expires_at.unwrap() - tokens.issued_at;
        assert_eq!(life.num_seconds(), seconds);
    }
}

#[tokio::test]
async fn scopes_that_were_not_granted_are_named() {
    let asked = "default_scopes: [a, b, c]";
    let some = r#"{"access_token":"a","scope":"c a"}"#;
    for (connection, answer, missing) in [
        (json!({}), some, &["b"][..]),
        (json!({}), TOKEN, &[]),
        (
            json!({ "oauth_scopes_override": "a, z,y" }),
            some,
            &["z", "y"],
        ),
    ] {
        let (finished, _) = exchange(asked, connection, answer).await;
        assert_eq!(finished.missing_scopes, missing);
    }
}

#[tokio::test]
async fn a_connections_own_client_is_used_from_the_first_to_the_last() {
    let own = json!({
        "sub": "acme",
        "oauth_client_id_override": "own-id",
        "oauth_client_secret_override": "own-hush",
        "oauth_scopes_override": "x,y",
    });
    let url = authorize(&template("default_scopes: [a]"), &own, &[]);
    assert!(
        url.as_str().contains("&scope=x+y&client_id=own-id&"),
        "{url}"
    );
    assert!(!url.as_str().contains("hush"), "{url}");

    let answer = r#"{"access_token":"a","refresh_token":"r"}"#;
    let (finished, endpoint) = exchange("", own.clone(), answer).await;
    let sent = |endpoint: &Scripted| endpoint.seen().2;
    assert!(sent(&endpoint).starts_with("client_id=own-id&client_secret=own-hush&"));

    // The configuration is stored without the secret; the tokens remember it.
    let stored = serde_json::to_string(&finished.credentials).unwrap();
    let Credentials::OAuth2(stored) = serde_json::from_str(&stored).unwrap() else {
        panic!("{stored}");
    };
    assert!(!stored.to_wire().to_string().contains("hush"));
    let (template, nothing) = (template(""), Map::new());
    let config = Config {
        template: &template,
        connection: &nothing,
        integration: &nothing,
    };
    let endpoint = Scripted::new(200, TOKEN);
    let fresh = refresh(&client(), &config, &stored, &endpoint)
        .await
        .unwrap();
    assert!(sent(&endpoint).starts_with("client_id=own-id&client_secret=own-hush&"));
    let kept = tokens(&fresh).own_client.as_ref().unwrap();
    let secret = kept.client_secret.as_ref().unwrap().expose_secret();
    assert_eq!((kept.client_id.as_str(), secret), ("own-id", "own-hush"));
    assert!(!format!("{kept:?}").contains("hush"));
}

#[tokio::test]
async fn another_clients_id_never_goes_out_with_our_secret() {
    let own = json!({ "oauth_client_id_override": "own-id" });
    let (finished, endpoint) = exchange("", own, TOKEN).await;
    let body = endpoint.seen().2;
    assert!(body.starts_with("client_id=own-id&code="), "{body}");
    assert!(
        tokens(&finished)
            .own_client
            .as_ref()
            .unwrap()
            .client_secret
            .is_none()
    );
}
