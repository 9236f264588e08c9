//! Tokens that a quirk keeps beside the connection's own.

use std::sync::Mutex;

use chrono::{TimeDelta, Utc};
use http::{Request as HttpRequest, Response};
use linkspan_providers::{Catalogue, Config};
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};

use super::*;
use crate::{Error, TokenEndpoint, TransportError};

/// Answers by the refresh token that it is asked with, and keeps their order.
struct ByToken {
    answers: Vec<(&'static str, u16, Value)>,
    asked: Mutex<Vec<String>>,
}

impl ByToken {
    fn new(answers: &[(&'static str, u16, Value)]) -> Self {
        Self {
            answers: answers.to_vec(),
            asked: Mutex::default(),
        }
    }
}

impl TokenEndpoint for ByToken {
    async fn send(
        &self,
        request: HttpRequest<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let form = url::form_urlencoded::parse(request.body()).into_owned();
        let (_, token) = form
            .into_iter()
            .find(|(k, _)| k == "refresh_token")
            .unwrap();
        let known = self.answers.iter().find(|(known, ..)| *known == token);
        let (_, status, body) = known.unwrap();
        self.asked.lock().unwrap().push(token);
        let response = Response::builder().status(*status);
        Ok(response.body(body.to_string().into_bytes()).unwrap())
    }
}

/// A bot's and a person's tokens, both of which rotate.
fn both() -> Tokens {
    Tokens {
        access_token: "bot-1".into(),
        refresh_token: Some("bot-refresh-1".into()),
        expires_at: Some(Utc::now()),
        issued_at: Utc::now() - TimeDelta::hours(12),
        raw: json!({
            "ok": true, "access_token": "bot-1", "refresh_token": "bot-refresh-1",
            "authed_user": { "id": "U1", "access_token": "person-1",
                "refresh_token": "person-refresh-1", "expires_in": 43200 },
        }),
        own_client: None,
        mcp: None,
    }
}

/// What is stored first, and then.
type Both = (Tokens, Result<Option<Tokens>, Error>);

async fn refresh_slack(tokens: &Tokens, endpoint: &ByToken) -> Result<Both, Error> {
    let catalogue = Catalogue::builtin().unwrap();
    let nothing = Map::new();
    let config = Config {
        template: catalogue.get("slack").unwrap(),
        connection: &nothing,
        integration: &nothing,
    };
    let finished = refresh(&client(), &config, tokens, endpoint).await?;
    let first = super::tokens(&finished).clone();
    assert_eq!(endpoint.asked.lock().unwrap().len(), 1);
    let second = refresh_beside(&client(), &config, &first, endpoint).await;
    Ok((first, second))
}

fn bots_answer() -> (&'static str, u16, Value) {
    let answer = json!({ "ok": true, "access_token": "bot-2", "refresh_token": "bot-refresh-2",
        "expires_in": 43200, "token_type": "bot", "authed_user": { "id": "U1" } });
    ("bot-refresh-1", 200, answer)
}

#[tokio::test]
async fn the_persons_token_is_refreshed_after_the_bots() {
    let theirs = json!({ "ok": true, "access_token": "person-2",
        "refresh_token": "person-refresh-2", "expires_in": 3600, "token_type": "user" });
    let endpoint = ByToken::new(&[bots_answer(), ("person-refresh-1", 200, theirs)]);
    let (first, fresh) = refresh_slack(&both(), &endpoint).await.unwrap();
    assert_eq!(
        *endpoint.asked.lock().unwrap(),
        ["bot-refresh-1", "person-refresh-1"]
    );
    let first_refresh_token = first.refresh_token.as_ref().unwrap();
    assert_eq!(first_refresh_token.expose_secret(), "bot-refresh-2");
    assert_eq!(
        first.raw["authed_user"]["refresh_token"],
        "person-refresh-1"
    );
    let fresh = fresh.unwrap().unwrap();
    assert_eq!(fresh.access_token.expose_secret(), "bot-2");
    let refresh_token = fresh.refresh_token.as_ref().unwrap();
    assert_eq!(refresh_token.expose_secret(), "bot-refresh-2");
    let person = &fresh.raw["authed_user"];
    assert_eq!(person["id"], "U1");
    assert_eq!(person["access_token"], "person-2");
    assert_eq!(person["refresh_token"], "person-refresh-2");
    let life = fresh.expires_at.unwrap() - fresh.issued_at;
    assert_eq!(life, TimeDelta::hours(1), "the shorter of the two");
}

#[tokio::test]
async fn a_person_who_withdrew_does_not_cost_the_bots_token() {
    let refused = json!({ "ok": false, "error": "token_revoked" });
    let endpoint = ByToken::new(&[bots_answer(), ("person-refresh-1", 200, refused)]);
    let (fresh, theirs) = refresh_slack(&both(), &endpoint).await.unwrap();
    assert_eq!(fresh.access_token.expose_secret(), "bot-2");
    assert_eq!(
        fresh.raw["authed_user"]["refresh_token"],
        "person-refresh-1"
    );
    let life = fresh.expires_at.unwrap() - fresh.issued_at;
    assert_eq!(life, TimeDelta::hours(12), "the bot's own");
    let warning = theirs.unwrap_err().to_string();
    assert!(warning.contains("token_revoked"), "{warning}");
}

#[tokio::test]
async fn a_bot_that_is_refused_leaves_the_persons_token_unspent() {
    let refused = json!({ "ok": false, "error": "token_revoked" });
    let endpoint = ByToken::new(&[("bot-refresh-1", 200, refused)]);
    let error = refresh_slack(&both(), &endpoint).await.unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert_eq!(*endpoint.asked.lock().unwrap(), ["bot-refresh-1"]);
}
