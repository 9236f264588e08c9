//! APP: there is one real template.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use linkspan_simulator::strict::app::{App, Provider};
use linkspan_simulator::strict::{Answer, Misbehaviour, Strict};
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

use super::expired::expect_one_refresh;
use super::{IMPATIENT, call, count, delete, full, refreshed, set_up, start_at};

const SLUG: &str = "github-app";
const LINK: &str = "https://github.com/apps/ours";
pub(super) const KEY: &str = include_str!("keys/app.pem");
const TOKENS: &str = "/api.github.com/app/installations/";

pub(super) fn provider(token_life: i64) -> Provider {
    let public = include_str!("keys/app.pub.pem");
    let base64: String = public
        .lines()
        .filter(|line| !line.starts_with('-'))
        .collect();
    let app = App {
        id: "4711".to_owned(),
        public_key: STANDARD.decode(base64).unwrap(),
        installations: vec!["77".to_owned(), "78".to_owned()],
        token_life,
    };
    Provider::new(app, (TOKENS, "/access_tokens"), "/api.github.com/")
}

async fn strict() -> Strict {
    let provider = provider(3600);
    Strict::start(move |request| provider.answer(request))
        .await
        .unwrap()
}

fn credentials() -> Value {
    json!({ "type": "APP", "app_id": "4711", "app_link": LINK, "private_key": KEY })
}

/// Comes back from the app's page with these parameters beside the state.
async fn install(app: &TestApp, path: &str, more: &str) -> Reply {
    let start = app.begin(SLUG, &app.connect_session().await).await;
    let location = start.header("location").unwrap();
    let page = format!("{LINK}/installations/new?state=");
    let state = location.strip_prefix(&page).unwrap();
    let back = format!("http://x{path}?state={state}{more}");
    app.come_back(&back, start.header("set-cookie")).await
}

async fn only(app: &TestApp) -> String {
    let listed = app.get("/connections").await.json();
    let id = listed["connections"][0]["connection_id"].as_str();
    id.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installed_app_asks_for_tokens_by_its_key() {
    let strict = strict().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials()).await;
    let more = "&installation_id=77&setup_action=install";
    let page = install(&app, "/oauth/callback", more).await;
    assert_eq!(page.status, 200, "{page:?} {:?}", strict.refusals());
    let id = only(&app).await;
    let shown = full(&app, SLUG, &id).await;
    let token = shown["credentials"]["access_token"].clone();
    assert_eq!(shown["credentials"]["type"], "APP", "{shown}");
    assert!(shown["credentials"]["expires_at"].is_string(), "{shown}");
    let expected = json!({ "appPublicLink": LINK, "app_id": "4711", "installation_id": "77" });
    assert_eq!(shown["connection_config"], expected);
    assert_eq!(call(&app, SLUG, &id, "/repos", None).await.status, 200);
    assert_eq!(
        strict.requests_to(TOKENS).len(),
        1,
        "a good token is not refreshed"
    );

    let forced = refreshed(&app, SLUG, &id).await;
    assert_ne!(forced.json()["credentials"]["access_token"], token);
    assert_eq!(call(&app, SLUG, &id, "/repos", None).await.status, 200);
    expect_one_refresh(&app, &strict, (SLUG, &*id, "/repos"), (TOKENS, 1)).await;
    assert_eq!(strict.refusals(), []);
    delete(&app, SLUG, &id).await;
    assert_eq!(count(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_due_is_bought_again_before_the_call() {
    let provider = provider(1);
    let strict = Strict::start(move |request| provider.answer(request)).await;
    let strict = strict.unwrap();
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials()).await;
    install(&app, "/oauth/callback", "&installation_id=77").await;
    let id = only(&app).await;
    tokio::time::timeout(std::time::Duration::from_secs(20), async {
        while strict.requests_to(TOKENS).len() < 2 {
            assert_eq!(call(&app, SLUG, &id, "/repos", None).await.status, 200);
        }
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_that_apps_were_registered_with_leads_to_the_callback() {
    let strict = strict().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    let moved = app
        .get("/app-auth/connect?installation_id=77&state=s%2F1")
        .await;
    assert_eq!(moved.status, 302, "{moved:?}");
    let location = moved.header("location").unwrap();
    assert!(
        location.ends_with("/oauth/callback?installation_id=77&state=s%2F1"),
        "{location}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_imported() {
    let strict = strict().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials()).await;
    let import = async |credentials: Value| {
        let body = json!({ "provider_config_key": SLUG, "connection_id": "imported",
            "credentials": credentials });
        app.post("/connections", body).await
    };
    for (credentials, code) in [
        (
            json!({ "type": "APP", "app_id": "1", "installation_id": "78" }),
            "invalid_body",
        ),
        (json!({ "type": "APP", "app_id": "4711" }), "invalid_body"),
        (
            json!({ "type": "APP", "installation_id": "79" }),
            "invalid_credentials",
        ),
    ] {
        let refused = import(credentials).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, code)
        );
    }
    assert_eq!(count(&app).await, 0);
    let good = json!({ "type": "APP", "app_id": "4711", "installation_id": "78" });
    let made = import(good).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(made.json()["connection_config"]["installation_id"], "78");
    assert_eq!(
        call(&app, SLUG, "imported", "/repos", None).await.status,
        200
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_and_leaves_nothing() {
    let strict = strict().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[IMPATIENT]).await;
    set_up(&app, SLUG, credentials()).await;
    let refused = async |more: &str, kind: &str| {
        let page = install(&app, "/oauth/callback", more).await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(page.status == 400 && text.contains(kind), "{more}: {text}");
        text
    };
    refused("&error=access_denied", "callback_err").await;
    refused("&installation_id=..%2Fx", "callback_err").await;
    let waits = refused("&setup_action=request", "callback_err").await;
    assert!(waits.contains("approved"), "{waits}");
    let unknown = refused("&installation_id=999", "token_err").await;
    assert!(unknown.contains("Not Found"), "{unknown}");
    for answer in [
        Answer::garbage(),
        Answer::new(200, "application/json", "{}"),
    ] {
        strict.misbehave(TOKENS, Misbehaviour::Answer(answer));
        refused("&installation_id=77", "token_err").await;
    }
    strict.misbehave(TOKENS, Misbehaviour::Refuse);
    refused("&installation_id=77", "token_err").await;
    strict.misbehave(TOKENS, Misbehaviour::Hang);
    refused("&installation_id=77", "did not answer in time").await;
    refused("&installation_id=77", "token_err").await;
    assert_eq!(count(&app).await, 0);
}
