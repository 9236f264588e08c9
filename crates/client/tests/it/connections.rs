//! Connections: importing, finding, changing, reading and deleting them.

use linkspan_client::{
    Client, Credentials, EndUser, Error, ErrorCode, ExposeSecret, ImportCredentials, Object,
    SecretString,
};
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use crate::{API_KEY, client};

fn object(value: Value) -> Object {
    value.as_object().unwrap().clone()
}

fn key() -> ImportCredentials {
    ImportCredentials::api_key(&SecretString::from(API_KEY))
}

async fn bearer(app: &TestApp) -> Client {
    let linkspan = client(app);
    linkspan
        .integrations()
        .create("bearer", "private-api-bearer")
        .send()
        .await
        .unwrap();
    linkspan
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_connection_is_found_by_what_it_was_imported_with() {
    let app = TestApp::start().await;
    let linkspan = bearer(&app).await;
    let connections = linkspan.connections();
    let made = connections
        .import("bearer", key())
        .connection_id("one")
        .config("baseUrl", "http://127.0.0.1:1")
        .metadata(object(json!({ "a": 1 })))
        .tag("team", "blue")
        .end_user(EndUser::new("u1").email("ada@example.com"))
        .webhook_url_override("https://example.com/hook")
        .send()
        .await
        .unwrap();
    assert_eq!(made.connection_id, "one");
    assert_eq!(made.metadata, Some(object(json!({ "a": 1 }))));
    assert!(
        matches!(&made.credentials, Credentials::ApiKey(key) if key.expose_secret() == API_KEY)
    );
    let config = object(json!({ "baseUrl": "http://127.0.0.1:1" }));
    let other = connections
        .import("bearer", key())
        .config("baseUrl", config["baseUrl"].clone());
    let other = other.send().await.unwrap();
    let list = || connections.list();
    for (found, query) in [
        (vec!["one"], list().connection_id("one")),
        (vec!["one"], list().end_user("u1")),
        (vec!["one"], list().search("ada@")),
        (vec!["one"], list().tag("team", "blue")),
        (
            vec![other.connection_id.as_str(), "one"],
            list().integration("bearer").integration("x"),
        ),
        (vec!["one"], list().limit(1).page(1)),
        (vec![], list().organization("none")),
        (vec![], list().integration("none")),
    ] {
        let text = format!("{query:?}");
        let ids = query.send().await.unwrap();
        let ids: Vec<_> = ids.iter().map(|one| one.connection_id.as_str()).collect();
        assert_eq!(ids, found, "{text}");
    }
    let wrong = list().limit(0).send().await.unwrap_err();
    assert_eq!(wrong.code(), Some(ErrorCode::InvalidQueryParams));
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_labels_are_changed() {
    let app = TestApp::start().await;
    let linkspan = bearer(&app).await;
    let import = linkspan
        .connections()
        .import("bearer", key())
        .connection_id("one");
    import
        .config("baseUrl", "http://127.0.0.1:1")
        .send()
        .await
        .unwrap();
    let one = linkspan.connection("bearer", "one");
    one.set_metadata(&object(json!({ "a": 1, "b": 2 })))
        .await
        .unwrap();
    one.merge_metadata(&object(json!({ "b": 3 })))
        .await
        .unwrap();
    one.update()
        .tags([("plan", "gold")])
        .end_user(EndUser::new("u2"))
        .webhook_url_override(None)
        .send()
        .await
        .unwrap();
    let now = one.get().send().await.unwrap();
    assert_eq!(now.metadata, Some(object(json!({ "a": 1, "b": 3 }))));
    assert_eq!(now.tags["plan"], "gold");
    assert_eq!(now.end_user.unwrap().id, "u2");
    one.set_metadata(&object(json!({ "c": 1 }))).await.unwrap();
    one.update().end_user(None).send().await.unwrap();
    let now = one.get().send().await.unwrap();
    assert_eq!(now.metadata, Some(object(json!({ "c": 1 }))));
    assert!(now.end_user.is_none());
    assert_eq!(now.tags["plan"], "gold", "what is not set stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_is_given_and_refreshed_on_demand() {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    let handle = client(&app).connection("demo", &id);
    let first = handle.access_token().await.unwrap();
    let again = handle.access_token().await.unwrap();
    assert_eq!(first.expose_secret(), again.expose_secret());
    let forced = handle.get().force_refresh().send().await.unwrap();
    assert_eq!(forced.credentials.kind(), "OAUTH2");
    let Credentials::OAuth2 {
        access_token,
        refresh_token,
        expires_at,
        raw,
    } = forced.credentials
    else {
        panic!("the demo provider is OAuth 2.0");
    };
    assert_eq!(raw["access_token"], access_token.expose_secret());
    assert_ne!(access_token.expose_secret(), first.expose_secret());
    assert!(refresh_token.is_some() && expires_at.is_some());
    assert_eq!(app.provider.control().refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_token_says_so_and_what_is_gone_too() {
    let app = TestApp::start().await;
    let linkspan = bearer(&app).await;
    let import = linkspan
        .connections()
        .import("bearer", key())
        .connection_id("a/b c");
    import
        .config("baseUrl", "http://127.0.0.1:1")
        .send()
        .await
        .unwrap();
    let handle = linkspan.connection("bearer", "a/b c");
    let none = handle.access_token().await.unwrap_err();
    assert!(matches!(none, Error::NoAccessToken(kind) if kind == "API_KEY"));
    handle.delete().await.unwrap();
    let metadata = object(json!({}));
    for error in [
        handle.get().send().await.map(|_| ()).unwrap_err(),
        handle.access_token().await.map(|_| ()).unwrap_err(),
        handle.update().tags([("a", "b")]).send().await.unwrap_err(),
        handle.set_metadata(&metadata).await.unwrap_err(),
        handle.merge_metadata(&metadata).await.unwrap_err(),
        handle.delete().await.unwrap_err(),
        linkspan
            .connection("none", "x")
            .get()
            .send()
            .await
            .map(|_| ())
            .unwrap_err(),
    ] {
        assert!(error.is_not_found(), "{error:?}");
    }
    let misled = linkspan
        .connection("bearer", "..")
        .delete()
        .await
        .unwrap_err();
    assert!(matches!(misled, Error::Request(_)));
    let refused = linkspan
        .connections()
        .import("bearer", ImportCredentials::of("OAUTH2"));
    assert!(
        refused
            .send()
            .await
            .unwrap_err()
            .status()
            .unwrap()
            .is_client_error()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_of_many_is_written_to_all_or_to_none() {
    let app = TestApp::start().await;
    let linkspan = bearer(&app).await;
    let connections = linkspan.connections();
    for id in ["one", "two"] {
        let import = connections.import("bearer", key()).connection_id(id);
        import.send().await.unwrap();
    }
    let metadata = async |id: &str| {
        let connection = linkspan.connection("bearer", id).get().send().await;
        Value::Object(connection.unwrap().metadata.unwrap_or_default())
    };
    let gold = object(json!({ "plan": "gold" }));
    let both = ["one", "two"];
    connections
        .set_metadata("bearer", &both, &gold)
        .await
        .unwrap();
    let more = object(json!({ "seats": 3 }));
    connections
        .merge_metadata("bearer", &both, &more)
        .await
        .unwrap();
    for id in both {
        assert_eq!(metadata(id).await, json!({ "plan": "gold", "seats": 3 }));
    }
    let half = ["one".to_owned(), "none".to_owned()];
    let refused = connections.set_metadata("bearer", &half, &more).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::UnknownConnection));
    assert_eq!(metadata("one").await, json!({ "plan": "gold", "seats": 3 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_sign_are_imported_and_read_back_typed() {
    let app = TestApp::start().await;
    let linkspan = client(&app);
    let integrations = linkspan.integrations();
    let secret = |text: &str| SecretString::from(text.to_owned());
    let create = integrations.create("netsuite", "netsuite-tba");
    let create = create.tba("client", secret("hush"));
    create.send().await.unwrap();
    let create = integrations.create("trello", "trello");
    let create = create.oauth1("client", secret("hush"));
    create.send().await.unwrap();

    let tba = ImportCredentials::tba(&secret("id"), &secret("signs"));
    let tba = linkspan.connections().import("netsuite", tba);
    let tba = tba.config("accountId", "1234567").send().await.unwrap();
    let Credentials::Tba {
        token_id,
        token_secret,
    } = tba.credentials
    else {
        panic!("{tba:?}");
    };
    assert_eq!(
        [token_id.expose_secret(), token_secret.expose_secret()],
        ["id", "signs"]
    );

    let oauth1 = ImportCredentials::oauth1(&secret("token"), &secret("signs"));
    let oauth1 = linkspan.connections().import("trello", oauth1).send().await;
    let Credentials::OAuth1 {
        token,
        token_secret,
    } = oauth1.unwrap().credentials
    else {
        panic!("of another mode");
    };
    assert_eq!(
        [token.expose_secret(), token_secret.expose_secret()],
        ["token", "signs"]
    );
}
