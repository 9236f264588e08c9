//! INSTALL_PLUGIN: there is one real template.

use http::Method;
use linkspan_simulator::strict::install_plugin::Provider;
use linkspan_simulator::strict::{Misbehaviour, Strict};
use linkspan_testkit::{Reply, TestApp};
use serde_json::json;

use super::{IMPATIENT, call, count, delete, full, set_up, start_at};

const SLUG: &str = "crisp-plugin-install";

async fn provider() -> Strict {
    let provider = Provider::new("id-1", "planted key", ("x-crisp-tier", "plugin"));
    Strict::start(move |request| provider.answer(request))
        .await
        .unwrap()
}

fn credentials(password: &str) -> serde_json::Value {
    json!({ "type": "INSTALL_PLUGIN", "app_link": "https://app.crisp.chat/initiate/plugin/p1/",
        "username": "id-1", "password": password })
}

/// Comes back from the plugin's page with these parameters beside the state.
async fn install(app: &TestApp, more: &str) -> Reply {
    let start = app.begin(SLUG, &app.connect_session().await).await;
    let location = start.header("location").unwrap();
    let page = "https://app.crisp.chat/initiate/plugin/p1/?payload=";
    let state = location.strip_prefix(page).unwrap();
    let back = format!("http://x/oauth/callback?payload={state}{more}");
    app.come_back(&back, start.header("set-cookie")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plugin_is_installed_and_its_calls_carry_its_keys() {
    let strict = provider().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials("planted key")).await;
    let page = install(&app, "&website_id=w-1&token=x").await;
    assert_eq!(page.status, 200, "{page:?}");
    let verified = strict.requests_to("/api.crisp.chat/v1/plugin/connect/account");
    assert_eq!(verified.len(), 1);
    let listed = app.get("/connections").await.json();
    let id = listed["connections"][0]["connection_id"].as_str().unwrap();
    let shown = full(&app, SLUG, id).await;
    let expected = json!({ "type": "BASIC", "username": "id-1", "password": "planted key" });
    assert_eq!(shown["credentials"], expected);
    assert_eq!(shown["connection_config"], json!({ "website_id": "w-1" }));
    let answer = call(&app, SLUG, id, "/v1/website/w-1", None).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(strict.refusals(), []);
    delete(&app, SLUG, id).await;
    assert_eq!(count(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_leaves_nothing() {
    let strict = provider().await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[IMPATIENT]).await;
    set_up(&app, SLUG, credentials("planted wrong")).await;
    let refused = async |more: &str, kind: &str| {
        let page = install(&app, more).await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(page.status == 400 && text.contains(kind), "{text}");
        assert!(!text.contains("planted"), "{text}");
    };
    refused("&website_id=w-1", "token_err").await;
    refused("", "callback_err").await;
    let change = json!({ "credentials": credentials("planted key") });
    let changed = app
        .call(Method::PATCH, &format!("/integrations/{SLUG}"), change)
        .await;
    assert_eq!(changed.status, 200, "{changed:?}");
    for misbehaviour in [Misbehaviour::Refuse, Misbehaviour::Hang] {
        strict.misbehave("/", misbehaviour);
        refused("&website_id=w-1", "token_err").await;
    }
    assert_eq!(count(&app).await, 0);

    let bare = json!({ "type": "INSTALL_PLUGIN", "app_link": "https://app.crisp.chat/p1" });
    let body = json!({ "unique_key": "bare", "provider": SLUG, "credentials": bare });
    assert_eq!(app.post("/integrations", body).await.status, 200);
    let page = app.begin("bare", &app.connect_session().await).await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(text.contains("provider_config_err"), "{text}");
}
