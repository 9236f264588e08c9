//! TBA: there is one real template.

use linkspan_simulator::strict::Strict;
use linkspan_simulator::strict::oauth1::{Consumer, Method};
use linkspan_simulator::strict::tba::Provider;
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use super::{bearer, call, connect, count, delete, full, id, set_up, start_at};

const SLUG: &str = "netsuite-tba";
const ROUTE: &str = "/auth/tba/netsuite-tba";
const ACCOUNT: &str = "&params[accountId]=1234567-sb1";

/// Knows one token of one client.
async fn provider(key: &str, secret: &str) -> Strict {
    let consumer = Consumer {
        key: key.to_owned(),
        secret: secret.to_owned(),
        method: Method::HmacSha256,
        realm: Some("1234567_SB1".to_owned()),
    };
    let provider = Provider::new(consumer, "token-1", "planted secret");
    Strict::start(move |request| provider.answer(request))
        .await
        .unwrap()
}

fn entered() -> Value {
    json!({ "token_id": "token-1", "token_secret": "planted secret" })
}

fn own_client(mut entered: Value) -> Value {
    entered["oauth_client_id_override"] = "own".into();
    entered["oauth_client_secret_override"] = "planted own".into();
    entered
}

async fn calls_are_signed(app: &TestApp, id: &str) {
    let answer = call(app, SLUG, id, "/customer?q=a%20b&limit=1&limit=0", None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let request = http::Request::post(app.url("/proxy/customer?x=1"))
        .header("authorization", bearer(app))
        .header("provider-config-key", SLUG)
        .header("connection-id", id)
        .header("content-type", "application/json")
        .body("{\"a\":1}".into());
    let answer = app.send(request.unwrap()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_signed_in_the_accounts_realm() {
    let strict = provider("consumer", "consumer secret").await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    let client =
        json!({ "type": "TBA", "client_id": "consumer", "client_secret": "consumer secret" });
    set_up(&app, SLUG, client).await;
    let id = id(&connect(&app, ROUTE, ACCOUNT, entered()).await);
    let shown = full(&app, SLUG, &id).await;
    let expected = json!({ "type": "TBA", "token_id": "token-1", "token_secret": "planted secret",
        "config_override": {} });
    assert_eq!(shown["credentials"], expected);
    calls_are_signed(&app, &id).await;
    assert_eq!(strict.refusals(), []);
    // What does not expire is not refreshed, however often it is asked for.
    let forced = super::refreshed(&app, SLUG, &id).await;
    assert_eq!((forced.status.as_u16(), strict.requests().len()), (200, 2));
    delete(&app, SLUG, &id).await;
    assert_eq!(count(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_bring_the_client() {
    let strict = provider("own", "planted own").await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    let body = json!({ "unique_key": SLUG, "provider": SLUG });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    let refused = connect(&app, ROUTE, ACCOUNT, entered()).await;
    assert_eq!(refused.code(), "missing_client_id");
    let id = id(&connect(&app, ROUTE, ACCOUNT, own_client(entered())).await);
    calls_are_signed(&app, &id).await;
    assert_eq!(strict.refusals(), []);
    let imported = json!({
        "provider_config_key": SLUG,
        "connection_id": "imported",
        "connection_config": { "accountId": "1234567-sb1" },
        "credentials": { "type": "TBA", "token_id": "token-1", "token_secret": "planted secret",
            "config_override": { "client_id": "own", "client_secret": "planted own" } },
    });
    let made = app.post("/connections", imported).await;
    assert_eq!(made.status, 200, "{made:?}");
    calls_are_signed(&app, "imported").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_a_token_leaves_nothing() {
    let strict = provider("own", "planted own").await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    let body = json!({ "unique_key": SLUG, "provider": SLUG });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    let half =
        json!({ "token_id": "t", "token_secret": "planted", "oauth_client_id_override": "x" });
    for (more, body, code) in [
        ("", own_client(entered()), "invalid_query_params"),
        (
            "&params[accountId]=a%2Fb",
            own_client(entered()),
            "invalid_query_params",
        ),
        (ACCOUNT, json!({ "token_id": "t" }), "invalid_body"),
        (
            ACCOUNT,
            json!({ "token_id": "t", "token_secret": " " }),
            "invalid_body",
        ),
        (
            ACCOUNT,
            json!({ "token_id": "t", "token_secret": "a\nplanted" }),
            "invalid_body",
        ),
        (ACCOUNT, half, "invalid_body"),
    ] {
        let refused = connect(&app, ROUTE, more, body).await;
        let text = String::from_utf8_lossy(&refused.body).into_owned();
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, code),
            "{text}"
        );
        assert!(!text.contains("planted"), "{text}");
    }
    assert_eq!(count(&app).await, 0);
    assert!(strict.requests().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_taken_back_is_the_callers_to_see() {
    let strict = provider("own", "another").await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    let body = json!({ "unique_key": SLUG, "provider": SLUG });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    let id = id(&connect(&app, ROUTE, ACCOUNT, own_client(entered())).await);
    let answer = call(&app, SLUG, &id, "/customer", None).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(answer.json()["error"], "invalid_token");
}
