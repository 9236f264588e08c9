//! What is asked for, and how answers are read; `linkspan-server`'s tests verify
//! the signatures.

use linkspan_providers::Catalogue;
use serde_json::{Map, Value, json};

use super::*;
use crate::app::tests::Scripted;
use crate::redirect::Identity;

fn client() -> Client {
    Client {
        client_id: "ck".to_owned(),
        client_secret: Some("planted".into()),
        scopes: vec!["read".to_owned(), "write".to_owned()],
        ..Client::default()
    }
}

async fn begun(status: u16, body: &'static str) -> Result<Begun, Error> {
    let catalogue = Catalogue::builtin().unwrap();
    let config = Config {
        template: catalogue.get("trello").unwrap(),
        connection: &Map::new(),
        integration: &Map::new(),
    };
    let params = [("name", "Us"), ("oauth_token", "evil"), ("user_scope", "x")];
    let params = params.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let request = Request {
        redirect_uri: "https://us.example/oauth/callback",
        state: "st-1",
        authorization_params: &params.into(),
        identity: Identity::default(),
    };
    let endpoint = Scripted::new(status, body);
    begin(Some(&client()), &config, &request, &endpoint).await
}

#[tokio::test]
async fn the_page_has_the_token_the_scopes_and_the_callers_parameters() {
    for body in [
        "oauth_token=t%2F1&oauth_token_secret=s&oauth_callback_confirmed=true",
        r#"{"oauth_token":"t/1","oauth_token_secret":"s"}"#,
    ] {
        let begun = begun(200, body).await.unwrap();
        let pairs: BTreeMap<_, _> = begun.authorize_url.query_pairs().into_owned().collect();
        let expected = json!({ "expiration": "never", "name": "Us", "oauth_token": "t/1",
            "oauth_callback": "https://us.example/oauth/callback?state=st-1",
            "scope": "read,write" });
        assert_eq!(json!(pairs), expected);
        let kept = begun.kept.request_token.unwrap();
        assert_eq!(
            (kept.token.as_str(), kept.token_secret.expose_secret()),
            ("t/1", "s")
        );
    }
}

#[tokio::test]
async fn a_refusal_is_told_in_the_providers_words_without_secrets() {
    for (status, body, says) in [
        (
            401,
            "Failed to validate planted",
            "Failed to validate [hidden]",
        ),
        (401, "oauth_problem=nonce_used", "nonce_used"),
        (400, r#"{"error":"bad st-1"}"#, "bad [hidden]"),
        (200, "<html>", "not with tokens"),
        (500, "", "not with tokens"),
        (200, "oauth_token=t", "not with tokens"),
        (500, "oauth_token=t&oauth_token_secret=s", "status 500"),
    ] {
        let error = begun(status, body).await.unwrap_err().to_string();
        assert!(
            error.contains(says) && !error.contains("planted"),
            "{body}: {error}"
        );
    }
}

#[test]
fn a_token_shows_nothing_of_itself() {
    let token = Token {
        token: "hush".into(),
        token_secret: "hush".into(),
        raw: json!({ "oauth_token": "hush" }),
        own_client: None,
    };
    assert!(!format!("{token:?}").contains("hush"));
    let stored = serde_json::to_value(Credentials::OAuth1(token)).unwrap();
    assert_eq!(stored["type"], "OAUTH1");
    let read: Credentials = serde_json::from_value(stored).unwrap();
    assert_eq!(read.to_wire()["oauth_token"], "hush");
}

#[tokio::test]
async fn nothing_is_exchanged_for_another_token() {
    let catalogue = Catalogue::builtin().unwrap();
    let config = Config {
        template: catalogue.get("twitter").unwrap(),
        connection: &Map::new(),
        integration: &Map::new(),
    };
    let kept = Kept {
        request_token: Some(RequestToken {
            token: "t".to_owned(),
            token_secret: "s".into(),
        }),
        ..Kept::default()
    };
    let finish = async |query: Value, kept: &Kept| {
        let query: BTreeMap<String, String> = serde_json::from_value(query).unwrap();
        let callback = Callback {
            query: &query,
            redirect_uri: "https://us.example/oauth/callback",
            kept,
        };
        let endpoint = Scripted::new(200, "oauth_token=a&oauth_token_secret=b");
        super::finish(Some(&client()), &config, &callback, &endpoint).await
    };
    let good = json!({ "oauth_token": "t", "oauth_verifier": "v" });
    assert!(finish(good.clone(), &kept).await.is_ok());
    for (query, kept) in [
        (good, &Kept::default()),
        (json!({ "oauth_token": "u", "oauth_verifier": "v" }), &kept),
        (json!({ "oauth_token": "t" }), &kept),
        (json!({ "oauth_token": "t", "oauth_verifier": "" }), &kept),
    ] {
        let refused = finish(query, kept).await.unwrap_err();
        assert!(matches!(refused, Error::NoCode(_)), "{refused}");
    }
}
