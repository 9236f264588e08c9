//! CUSTOM: there is one real template.

use linkspan_auth::Credentials;
use linkspan_simulator::strict::custom::{Client, Provider};
use linkspan_simulator::strict::{Misbehaviour, Strict};
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

use super::app::{KEY, provider};
use super::expired::expect_one_refresh;
use super::{IMPATIENT, call, count, delete, full, refreshed, set_up, start_at};

const SLUG: &str = "github-app-oauth";
const LINK: &str = "https://github.com/apps/ours";
const CODES: &str = "/github.com/login/oauth/access_token";
const LIST: &str = "/api.github.com/user/installations";
const TOKENS: &str = "/api.github.com/app/installations/";

async fn strict(user_life: i64) -> Strict {
    let client = Client {
        id: "client-1".to_owned(),
        secret: "planted secret".to_owned(),
        token_path: CODES,
        token_life: user_life,
        list_path: LIST,
        // The app's are on the second page.
        listed: (1000..1100).chain([77, 78]).collect(),
    };
    let provider = Provider::new(provider(3600), client, "code-1");
    Strict::start(move |request| provider.answer(request))
        .await
        .unwrap()
}

fn credentials() -> Value {
    json!({ "type": "CUSTOM", "client_id": "client-1", "client_secret": "planted secret",
        "app_id": "4711", "app_link": LINK, "private_key": KEY })
}

async fn install(app: &TestApp, more: &str) -> Reply {
    let start = app.begin(SLUG, &app.connect_session().await).await;
    let location = start.header("location").unwrap();
    let page = format!("{LINK}/installations/new?state=");
    let state = location.strip_prefix(&page).unwrap();
    let back = format!("http://x/oauth/callback?state={state}{more}");
    app.come_back(&back, start.header("set-cookie")).await
}

async fn only(app: &TestApp) -> String {
    let listed = app.get("/connections").await.json();
    let id = listed["connections"][0]["connection_id"].as_str();
    id.unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_and_its_person_are_connected_at_once() {
    let strict = strict(28800).await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials()).await;
    let page = install(&app, "&code=code-1&installation_id=77&setup_action=install").await;
    assert_eq!(page.status, 200, "{page:?} {:?}", strict.refusals());
    let id = only(&app).await;
    let shown = full(&app, SLUG, &id).await;
    let kinds = ["/type", "/app/type", "/user/type"];
    let kinds = kinds.map(|at| shown["credentials"].pointer(at).unwrap().clone());
    assert_eq!(kinds, ["CUSTOM", "APP", "OAUTH2"]);
    assert_eq!(shown["connection_config"]["installation_id"], "77");
    assert_eq!(shown["connection_config"].get("pending"), None);
    assert_eq!(call(&app, SLUG, &id, "/repos", None).await.status, 200);
    let forced = refreshed(&app, SLUG, &id).await.json();
    let token = |shown: &Value, whose: &str| shown["credentials"][whose]["access_token"].clone();
    assert_ne!(token(&forced, "app"), token(&shown, "app"));
    assert_eq!(
        token(&forced, "user"),
        token(&shown, "user"),
        "it is good for hours"
    );
    assert_eq!(call(&app, SLUG, &id, "/repos", None).await.status, 200);
    expect_one_refresh(&app, &strict, (SLUG, &*id, "/repos"), (TOKENS, 1)).await;
    assert_eq!(strict.refusals(), []);
    delete(&app, SLUG, &id).await;
    assert_eq!(count(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_to_be_approved_is_pending() {
    let strict = strict(28800).await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials()).await;
    let page = install(&app, "&code=code-1&setup_action=request").await;
    assert_eq!(page.status, 200, "{page:?}");
    let id = only(&app).await;
    let shown = full(&app, SLUG, &id).await;
    assert_eq!(shown["connection_config"]["pending"], true);
    assert_eq!(shown["credentials"]["app"], Value::Null);
    assert_eq!(shown["credentials"]["user"]["type"], "OAUTH2");
    let refused = call(&app, SLUG, &id, "/repos", None).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (400, "invalid_connection")
    );
    let forced = refreshed(&app, SLUG, &id).await;
    assert_eq!(forced.status, 200, "there is nothing to refresh");
    assert_eq!(strict.requests().len(), 1);

    // Once it is approved the person connects again, and it is not pending.
    let mut spent = shown;
    for more in ["&installation_id=78", "&setup_action=request"] {
        spent = connect_again(&app, &id, &spent, more).await;
        assert_eq!(spent["connection_config"].get("pending"), None, "{spent}");
        assert_eq!(spent["connection_config"]["installation_id"], "78");
        assert_eq!(call(&app, SLUG, &id, "/repos", None).await.status, 200);
    }
    assert_eq!(refreshed(&app, SLUG, &id).await.status, 200);
}

/// Connects once more, with the refresh token as the code; the connection after it.
async fn connect_again(app: &TestApp, id: &str, shown: &Value, more: &str) -> Value {
    let session = json!({ "connection_id": id, "integration_id": SLUG });
    let session = app
        .post("/connect/sessions/reconnect", session)
        .await
        .json();
    let token = session["data"]["token"].as_str().unwrap();
    let start = app.begin(SLUG, token).await;
    let state = start
        .header("location")
        .unwrap()
        .split_once("state=")
        .unwrap()
        .1
        .to_owned();
    let code = shown["credentials"]["user"]["refresh_token"]
        .as_str()
        .unwrap();
    let back = format!("http://x/oauth/callback?state={state}&code={code}{more}");
    let page = app.come_back(&back, start.header("set-cookie")).await;
    assert_eq!(page.status, 200, "{page:?}");
    let after = full(app, SLUG, id).await;
    let access = |shown: &Value| shown["credentials"]["user"]["access_token"].clone();
    assert_ne!(access(&after), access(shown));
    after
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_and_leaves_nothing() {
    let strict = strict(28800).await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials()).await;
    refused(&app, "&installation_id=77", "callback_err").await;
    refused(&app, "&error=access_denied", "callback_err").await;
    refused(&app, "&code=another&installation_id=77", "token_err").await;
    assert_eq!(count(&app).await, 0);
}

async fn refused(app: &TestApp, more: &str, kind: &str) -> String {
    let page = install(app, more).await;
    let text = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(page.status == 400 && text.contains(kind), "{more}: {text}");
    assert!(!text.contains("planted"), "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_that_do_not_come_are_told_and_leave_nothing() {
    for (misbehaviour, says) in [
        (Misbehaviour::Garbage, "not with tokens"),
        (Misbehaviour::Refuse, "this client is unknown"),
        (Misbehaviour::Hang, "did not answer in time"),
    ] {
        for path in [CODES, TOKENS] {
            // The code is good once.
            let strict = strict(28800).await;
            let (_folder, app) = start_at(&strict, &[SLUG], &[IMPATIENT]).await;
            set_up(&app, SLUG, credentials()).await;
            strict.misbehave(path, misbehaviour.clone());
            let told = refused(&app, "&code=code-1&installation_id=77", says).await;
            assert!(told.contains("token_err"), "{told}");
            assert_eq!(strict.refusals(), []);
            assert_eq!(count(&app).await, 0);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_is_imported() {
    let strict = strict(28800).await;
    let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
    set_up(&app, SLUG, credentials()).await;
    let import = async |credentials: Value| {
        let body = json!({ "provider_config_key": SLUG, "connection_id": "imported",
            "credentials": credentials });
        app.post("/connections", body).await
    };
    let custom = |app_id: &str, installation: &str| json!({ "type": "CUSTOM", "app_id": app_id, "installation_id": installation });
    for (credentials, code) in [
        (custom("1", "78"), "invalid_body"),
        (custom("4711", "79"), "invalid_credentials"),
    ] {
        let refused = import(credentials).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, code)
        );
    }
    assert_eq!(count(&app).await, 0);
    let made = import(custom("4711", "78")).await;
    assert_eq!(made.status, 200, "{made:?}");
    let shown = made.json();
    assert_eq!(shown["connection_config"]["installation_id"], "78");
    assert_eq!(shown["credentials"]["user"], Value::Null);
    let api = call(&app, SLUG, "imported", "/repos", None).await;
    assert_eq!(api.status, 200, "{api:?}");
    let forced = refreshed(&app, SLUG, "imported").await.json();
    let token = |shown: &Value| shown["credentials"]["app"]["access_token"].clone();
    assert!(token(&forced).is_string(), "{forced}");
    assert_ne!(token(&forced), token(&shown));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_installation_of_somebody_else_is_not_connected() {
    for (more, misbehaviour, kind) in [
        ("&code=code-1&installation_id=80", None, "callback_err"),
        (
            "&code=code-1&installation_id=77",
            Some(Misbehaviour::Garbage),
            "token_err",
        ),
    ] {
        let strict = strict(28800).await;
        let (_folder, app) = start_at(&strict, &[SLUG], &[]).await;
        set_up(&app, SLUG, credentials()).await;
        if let Some(misbehaviour) = misbehaviour {
            strict.misbehave(LIST, misbehaviour);
        }
        let page = install(&app, more).await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(page.status == 400 && text.contains(kind), "{more}: {text}");
        assert!(!strict.requests_to(LIST).is_empty());
        assert!(strict.requests_to(TOKENS).is_empty(), "no token is bought");
        assert_eq!(count(&app).await, 0);
    }
}

#[test]
fn pending_credentials_are_stored_and_read_again() {
    let stored = json!({ "type": "PENDING" });
    let read: Credentials = serde_json::from_value(stored.clone()).unwrap();
    assert!(read.is_pending());
    assert_eq!(serde_json::to_value(read).unwrap(), stored);
}
