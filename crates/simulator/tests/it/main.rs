//! The simulator over real HTTP.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "clippy.toml exempts test functions, but not what they call in an integration test"
)]

mod authorize;
mod faults;
mod http_client;
mod lifecycle;
mod resources;
mod restart;
mod strict;
mod token;

use linkspan_simulator::browser::{self, Decision};
use linkspan_simulator::{Settings, Simulator};
use serde_json::Value;
use url::Url;

use http_client::{Answer, post_form};

/// A verifier and its S256 challenge, from RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const REDIRECT_URI: &str = "http://127.0.0.1:9/callback?kept=1";

type Fields = Vec<(&'static str, String)>;

async fn start() -> Simulator {
    let started = Simulator::start(Settings::default()).await;
    started.expect("a simulator on a free port")
}

fn url(simulator: &Simulator, path: &str) -> String {
    let joined = simulator.base_url().join(path).expect("a path");
    joined.to_string()
}

fn good_authorize() -> Fields {
    vec![
        ("response_type", "code".into()),
        ("client_id", "demo-client".into()),
        ("redirect_uri", REDIRECT_URI.into()),
        ("state", "st4te".into()),
        ("scope", "items.read profile.read".into()),
        ("code_challenge", CHALLENGE.into()),
        ("code_challenge_method", "S256".into()),
    ]
}

fn authorize_url(simulator: &Simulator, fields: &Fields) -> String {
    let mut url = simulator
        .base_url()
        .join("oauth/authorize")
        .expect("a path");
    url.query_pairs_mut().extend_pairs(fields);
    url.into()
}

/// The parameters of the redirect that ends a good authorise request.
async fn decide(simulator: &Simulator, decision: Decision) -> Vec<(String, String)> {
    let start = authorize_url(simulator, &good_authorize());
    let user = Settings::default().user;
    let location = browser::authorize(&start, &user, decision).await;
    query(&location.expect("a redirect to the client"))
}

async fn code(simulator: &Simulator) -> String {
    value(&decide(simulator, Decision::Allow).await, "code")
}

fn query(location: &str) -> Vec<(String, String)> {
    let url = Url::parse(location).expect("an absolute location");
    url.query_pairs().into_owned().collect()
}

fn value(pairs: &[(String, String)], name: &str) -> String {
    let found = pairs.iter().find(|(known, _)| known == name);
    let (_, value) = found.unwrap_or_else(|| panic!("no {name} in {pairs:?}"));
    value.clone()
}

fn good_exchange(code: &str) -> Fields {
    vec![
        ("grant_type", "authorization_code".into()),
        ("code", code.into()),
        ("redirect_uri", REDIRECT_URI.into()),
        ("client_id", "demo-client".into()),
        ("client_secret", "demo-secret".into()),
        ("code_verifier", VERIFIER.into()),
    ]
}

fn good_refresh(refresh_token: &str) -> Fields {
    vec![
        ("grant_type", "refresh_token".into()),
        ("refresh_token", refresh_token.into()),
        ("client_id", "demo-client".into()),
        ("client_secret", "demo-secret".into()),
    ]
}

async fn ask_token(simulator: &Simulator, fields: &Fields) -> Answer {
    post_form(&url(simulator, "oauth/token"), fields).await
}

/// Tokens by the whole way: login, consent, code.
async fn tokens(simulator: &Simulator) -> Value {
    let answer = ask_token(simulator, &good_exchange(&code(simulator).await)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn text(json: &Value, name: &str) -> String {
    json[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {json}"))
        .to_owned()
}

async fn access_token(simulator: &Simulator) -> String {
    text(&tokens(simulator).await, "access_token")
}

/// Every way to spoil one field (missing, empty, doubled, wrong), and one
/// field too many: a description with the spoilt list.
fn mutations(good: &Fields, wrong: &[(&'static str, &str)]) -> Vec<(String, Fields)> {
    assert_eq!(good.len(), wrong.len(), "each field has a wrong value");
    let mut spoilt = Vec::new();
    for (at, (name, value)) in good.iter().enumerate() {
        let (_, bad) = wrong
            .iter()
            .find(|(n, _)| n == name)
            .expect("a wrong value");
        let mut add = |kind: &str, change: &dyn Fn(&mut Fields)| {
            let mut fields = good.clone();
            change(&mut fields);
            spoilt.push((format!("{kind} {name}"), fields));
        };
        add("missing", &|fields| drop(fields.remove(at)));
        add("empty", &|fields| fields[at].1.clear());
        add("doubled", &|fields| fields.push((name, value.clone())));
        add("wrong", &|fields| fields[at].1 = (*bad).to_owned());
    }
    let mut fields = good.clone();
    fields.push(("surprise", "1".into()));
    spoilt.push(("unexpected surprise".into(), fields));
    spoilt
}
