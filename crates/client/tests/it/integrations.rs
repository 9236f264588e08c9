//! The catalogue, integrations and connect sessions.

use linkspan_client::{
    Client, CreateSession, EndUser, Error, ErrorCode, ExposeSecret, ImportCredentials, Method,
    Organization, SecretString, StatusCode,
};
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use crate::{API_KEY, client};

#[tokio::test(flavor = "multi_thread")]
async fn the_catalogue_is_listed_searched_and_read() {
    let app = TestApp::start().await;
    let providers = client(&app).providers();
    let all = providers.list().send().await.unwrap();
    let found = providers
        .list()
        .search("private-api-b")
        .send()
        .await
        .unwrap();
    assert!(found.len() < all.len());
    assert!(
        found
            .iter()
            .any(|provider| provider.name == "private-api-bearer")
    );
    let one = providers.get("private-api-bearer").await.unwrap();
    assert_eq!(one.auth_mode, "API_KEY");
    assert!(one.logo_url.ends_with("private-api-bearer.svg"));
    assert!(
        one.template.contains_key("proxy"),
        "{:?}",
        one.template.keys()
    );
    let none = providers.get("no/such").await.unwrap_err();
    assert!(
        none.status().is_some_and(|status| status.is_client_error()),
        "{none:?}"
    );
    assert!(none.code().is_some(), "{none:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_integration_is_made_read_changed_and_deleted() {
    let app = TestApp::start().await;
    let integrations = client(&app).integrations();
    let made = integrations
        .create("my-demo", "demo")
        .oauth2("id", "the client secret")
        .scopes(["items.read", "profile.read"])
        .webhook_secret("a webhook secret")
        .display_name("Ours")
        .forward_webhooks(false)
        .config("baseUrl", "http://127.0.0.1:1")
        .send()
        .await
        .unwrap();
    assert_eq!(
        (made.unique_key.as_str(), made.display_name.as_str()),
        ("my-demo", "Ours")
    );
    assert!(!made.forward_webhooks);
    let listed = integrations.list().await.unwrap();
    assert_eq!(listed.len(), 1);
    let bare = integrations.get("my-demo").send().await.unwrap();
    assert!(bare.credentials.is_none());
    let full = integrations
        .get("my-demo")
        .with_webhook()
        .with_credentials();
    let credentials = full.send().await.unwrap().credentials.unwrap();
    assert_eq!(credentials.kind, "OAUTH2");
    assert_eq!(credentials.client_id.as_deref(), Some("id"));
    assert_eq!(
        credentials.scopes.as_deref(),
        Some("items.read,profile.read")
    );
    assert_eq!(
        credentials.client_secret.unwrap().expose_secret(),
        "the client secret"
    );
    assert_eq!(
        credentials.webhook_secret.unwrap().expose_secret(),
        "a webhook secret"
    );
    let changed = integrations
        .update("my-demo")
        .unique_key("theirs")
        .forward_webhooks(true);
    let changed = changed.send().await.unwrap();
    assert_eq!(
        (changed.unique_key.as_str(), changed.display_name.as_str()),
        ("theirs", "Ours")
    );
    assert!(changed.forward_webhooks);
    integrations.delete("theirs").await.unwrap();
    assert!(integrations.list().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_why() {
    let app = TestApp::start().await;
    let integrations = client(&app).integrations();
    for error in [
        integrations
            .get("none")
            .send()
            .await
            .map(|_| ())
            .unwrap_err(),
        integrations
            .update("none")
            .display_name("x")
            .send()
            .await
            .map(|_| ())
            .unwrap_err(),
        integrations.delete("none").await.unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error:?}");
    }
    let empty = integrations.create("", "demo").send().await.unwrap_err();
    let Error::Api {
        status,
        code,
        errors,
        ..
    } = &empty
    else {
        panic!("{empty:?}")
    };
    assert_eq!(
        (*status, code.as_str()),
        (StatusCode::BAD_REQUEST, "invalid_body")
    );
    assert_eq!(errors[0].path, ["unique_key"]);
    assert!(empty.to_string().contains("unique_key"), "{empty}");
    let twice = || integrations.create("k", "private-api-bearer").send();
    twice().await.unwrap();
    let taken = twice().await.unwrap_err();
    assert_eq!(taken.code(), Some(ErrorCode::DuplicateProviderConfig));
    let stranger = linkspan_client::Client::new(app.url(""), "not a key").unwrap();
    let refused = stranger.integrations().list().await.unwrap_err();
    assert_eq!(
        refused.status(),
        Some(StatusCode::UNAUTHORIZED),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_opens_and_its_token_works() {
    let app = TestApp::start().await;
    let linkspan = client(&app);
    for key in ["one", "two"] {
        linkspan
            .integrations()
            .create(key, "private-api-bearer")
            .send()
            .await
            .unwrap();
    }
    let session = linkspan
        .connect_sessions()
        .create()
        .end_user(
            EndUser::new("u1")
                .email("ada@example.com")
                .display_name("Ada")
                .tag("a", "b"),
        )
        .organization(Organization::new("o1").display_name("Org"))
        .allow("one")
        .tag("team", "blue")
        .connection_config("one", "baseUrl", "http://127.0.0.1:1")
        .authorization_param("one", "prompt", "consent")
        .send()
        .await
        .unwrap();
    assert!(
        session
            .connect_link()
            .contains(session.token.expose_secret())
    );
    assert!(session.expires_at > chrono::Utc::now());
    let as_browser = linkspan_client::Client::new(app.url(""), session.token.clone()).unwrap();
    let seen = as_browser.integrations().list().await.unwrap();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].unique_key, "one");
    let nobody = linkspan
        .connect_sessions()
        .create()
        .send()
        .await
        .unwrap_err();
    assert_eq!(nobody.code(), Some(ErrorCode::InvalidBody), "{nobody:?}");
    let reconnect = linkspan.connect_sessions().reconnect("one", "none").send();
    assert!(
        reconnect
            .await
            .unwrap_err()
            .status()
            .unwrap()
            .is_client_error()
    );
}

/// Integrations `slack` and `one`, and a connection `one` of the latter.
async fn slack_and_one(app: &TestApp) -> Client {
    let linkspan = client(app);
    let integrations = linkspan.integrations();
    let slack = integrations.create("slack", "slack").oauth2("id", "secret");
    slack.scopes(["chat:write"]).send().await.unwrap();
    let one = integrations.create("one", "private-api-bearer");
    one.send().await.unwrap();
    let key = ImportCredentials::api_key(&SecretString::from(API_KEY));
    let import = linkspan.connections().import("one", key);
    import.connection_id("one").send().await.unwrap();
    linkspan
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_asks_for_the_scopes_of_a_person() {
    let app = TestApp::start().await;
    let sessions = slack_and_one(&app).await.connect_sessions();
    let create = sessions
        .create()
        .end_user(EndUser::new("u1"))
        .authorization_param("slack", "team", "T1")
        .user_scopes("slack", ["replaced"])
        .user_scopes("slack", ["search:read", "users:read"]);
    let token = create.send().await.unwrap().token;
    let path = "/connect/session";
    let view = app.call_as(&token, Method::GET, path, &[], Value::Null);
    let defaults = &view.await.json()["data"]["integrations_config_defaults"]["slack"];
    assert_eq!(defaults["user_scopes"], "search:read,users:read");
    assert_eq!(defaults["authorization_params"], json!({ "team": "T1" }));

    let start = app.begin("slack", token.expose_secret()).await;
    let location: url::Url = start.header("location").unwrap().parse().unwrap();
    let asked = |name: &str| {
        let mut pairs = location.query_pairs();
        let found = pairs.find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned())
    };
    assert_eq!(
        asked("user_scope").as_deref(),
        Some("search:read,users:read")
    );
    assert_eq!(asked("team").as_deref(), Some("T1"));

    let reconnect = sessions.reconnect("one", "one").user_scopes("one", ["a"]);
    let token = reconnect.send().await.unwrap().token;
    let view = app.call_as(&token, Method::GET, path, &[], Value::Null);
    let defaults = &view.await.json()["data"]["integrations_config_defaults"];
    assert_eq!(defaults["one"]["user_scopes"], "a");
}

/// Nothing reads these back yet, so that it is the server's own check of each
/// value that shows where it arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_takes_a_guide_and_a_place_for_webhooks() {
    let app = TestApp::start().await;
    let sessions = slack_and_one(&app).await.connect_sessions();
    let refused = async |session: CreateSession| {
        let error = session.send().await.unwrap_err();
        assert_eq!(error.code(), Some(ErrorCode::InvalidBody), "{error:?}");
        let Error::Api { errors, .. } = error else {
            panic!("{error:?}")
        };
        assert_eq!(errors.len(), 1, "{errors:?}");
        errors[0].path.join(".")
    };
    let new = sessions.create().end_user(EndUser::new("u1"));
    for session in [new, sessions.reconnect("one", "one")] {
        let right = session
            .clone()
            .docs_connect("one", "https://example.com/guide")
            .docs_connect("slack", "https://example.com/slack")
            .webhook_url_override("https://example.com/hook");
        right.clone().send().await.unwrap();
        for (wrong, path) in [
            (
                right.clone().docs_connect("slack", "nowhere"),
                "overrides.slack.docs_connect",
            ),
            (
                right.clone().docs_connect("none", "https://example.com/"),
                "overrides.none",
            ),
            (
                right.clone().webhook_url_override("ftp://example.com"),
                "webhook_url_override",
            ),
        ] {
            assert_eq!(refused(wrong).await, path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quickstart_is_for_providers_that_need_no_client() {
    let app = TestApp::start().await;
    let linkspan = client(&app);
    let integrations = linkspan.integrations();
    let quick = integrations
        .quickstart("quick", "private-api-bearer")
        .display_name("Quick")
        .forward_webhooks(false);
    let made = quick.clone().send().await.unwrap();
    assert_eq!(made.unique_key, "quick");
    assert_eq!(made.display_name, "Quick");
    assert!(!made.forward_webhooks);
    let again = quick.send().await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::DuplicateProviderConfig));
    let lent = integrations.quickstart("lent", "demo").send().await;
    let code = lent.unwrap_err().code();
    assert_eq!(code, Some(ErrorCode::SharedCredentialsProviderNotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_plugins_and_clients_of_every_kind_are_set() {
    const KEY: &str = include_str!("../../../server/tests/it/modes/keys/app.pem");
    let app = TestApp::start().await;
    let integrations = client(&app).integrations();
    let link = "https://x.example/a";
    for (create, kind) in [
        (
            integrations.create("a", "twitter").oauth1("i", "s"),
            "OAUTH1",
        ),
        (
            integrations.create("b", "netsuite-tba").tba("i", "s"),
            "TBA",
        ),
        (
            integrations.create("c", "github-app").app("1", link, KEY),
            "APP",
        ),
        (
            integrations
                .create("d", "github-app-oauth")
                .oauth2("i", "s")
                .app("1", link, KEY),
            "CUSTOM",
        ),
        (
            integrations
                .create("e", "crisp-plugin-install")
                .plugin(link, "u", "p"),
            "INSTALL_PLUGIN",
        ),
    ] {
        let made = create.send().await.unwrap();
        let read = integrations.get(made.unique_key).with_credentials();
        let credentials = read.send().await.unwrap().credentials.unwrap();
        assert_eq!(credentials.kind, kind);
        let has_app = credentials
            .private_key
            .is_some_and(|key| key.expose_secret() == KEY);
        assert_eq!(has_app, matches!(kind, "APP" | "CUSTOM"));
        assert_eq!(credentials.username.is_some(), kind == "INSTALL_PLUGIN");
    }
}
