//! OAUTH2_CC.

use linkspan_simulator::strict::client_credentials::{CLIENT_ID, CLIENT_SECRET, Endpoint, start};
use serde_json::{Value, json};

use super::expired::expect_one_refresh;
use super::refused::expect_refusals;
use super::{IMPATIENT, call, connect, count, delete, full, id, integrate, refreshed, start_at};

/// Three providers: a form with the client in it, a Basic header, and JSON whose
/// answer has the token deeper.
const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/auth.listrak.com/oauth2/token",
        names: Some(("client_id", "client_secret")),
        is_json: false,
        grant_type: Some("client_credentials"),
        token: "access_token",
    },
    Endpoint {
        path: "/api.8x8.com/oauth/v2/token",
        names: None,
        is_json: false,
        grant_type: Some("client_credentials"),
        token: "access_token",
    },
    Endpoint {
        path: "/api.personio.de/v1/auth",
        names: Some(("client_id", "client_secret")),
        is_json: true,
        grant_type: None,
        token: "data.token",
    },
];

fn entered() -> Value {
    json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET })
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_carry_calls_and_are_renewed() {
    let provider = start(ENDPOINTS).await.unwrap();
    let slugs = ["listrak", "8x8", "personio"];
    let (_folder, app) = start_at(&provider, &slugs, &[]).await;
    for ((slug, more), endpoint) in [
        ("listrak", ""),
        ("8x8", "&params[oauth_scopes]=a,b"),
        ("personio", "&params[partnerId]=p&params[appId]=a"),
    ]
    .into_iter()
    .zip(ENDPOINTS)
    {
        integrate(&app, slug, "").await;
        let connection = id(&connect(&app, &format!("/oauth2/auth/{slug}"), more, entered()).await);
        assert_eq!(
            call(&app, slug, &connection, "/x", None).await.status,
            200,
            "{slug}"
        );
        let before = full(&app, slug, &connection).await["credentials"].clone();
        assert_eq!(before["type"], "OAUTH2_CC");
        assert_eq!(before["client_id"], CLIENT_ID);
        assert!(before["expires_at"].is_string(), "{before}");
        let after = refreshed(&app, slug, &connection).await.json()["credentials"].clone();
        assert!(
            after["token"].is_string() && after["token"] != before["token"],
            "{after}"
        );
        assert_eq!(
            call(&app, slug, &connection, "/x", None).await.status,
            200,
            "{slug}"
        );
        let of = (slug, &*connection, "/x");
        expect_one_refresh(&app, &provider, of, (endpoint.path, 1)).await;
        delete(&app, slug, &connection).await;
    }
    assert_eq!(provider.refusals(), []);
    let asked = provider.requests_to("/api.8x8.com/oauth/v2/token");
    assert!(String::from_utf8_lossy(&asked[0].body).contains("scope=a+b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_does_not_take_is_not_stored() {
    let provider = start(ENDPOINTS).await.unwrap();
    let (_folder, app) = start_at(&provider, &["listrak"], &[IMPATIENT]).await;
    integrate(&app, "listrak", "").await;
    let wrong = json!({ "client_id": CLIENT_ID, "client_secret": "planted-wrong" });
    let route = "/oauth2/auth/listrak";
    expect_refusals(&app, &provider, route, "", &wrong, &entered()).await;
    let reply = connect(&app, route, "", json!({})).await;
    assert_eq!(reply.code(), "invalid_body");
    assert_eq!(count(&app).await, 0);
}
