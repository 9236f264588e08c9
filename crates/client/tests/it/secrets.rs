//! No key, token or credential shows in `Debug` or `Display`.

use std::fmt::Write;

use linkspan_client::{Client, EndUser, ImportCredentials, Method, SecretString};
use linkspan_testkit::TestApp;
use secrecy::ExposeSecret;

use crate::client;
use crate::misbehaving::{Step, server};

const PLANTED: &str = "planted-s3cret";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_hides_its_secrets() {
    let linkspan = Client::new("http://127.0.0.1:1", PLANTED).unwrap();
    let secret = SecretString::from(PLANTED);
    let handle = linkspan.connection("a", "b");
    let integrations = linkspan.integrations();
    let credentials = ImportCredentials::oauth2(&secret).refresh_token(&secret);
    let mut shown = format!(
        "{linkspan:?} {:?} {handle:?}",
        Client::builder("x", PLANTED)
    );
    let debug: [&dyn std::fmt::Debug; 6] = [
        &integrations
            .create("k", "demo")
            .oauth2("id", PLANTED)
            .config("key", PLANTED),
        &integrations
            .update("k")
            .oauth2("id", PLANTED)
            .webhook_secret(PLANTED),
        &linkspan
            .connect_sessions()
            .create()
            .end_user(EndUser::new("u"))
            .connection_config("k", "secret", PLANTED)
            .webhook_url_override(format!("https://example.com/{PLANTED}")),
        &credentials,
        &linkspan
            .connections()
            .import("k", credentials.clone())
            .config("key", PLANTED),
        &handle
            .proxy(Method::GET, format!("/x?token={PLANTED}"))
            .header("X-Key", PLANTED)
            .body(PLANTED),
    ];
    for one in debug {
        write!(shown, " {one:?} {one:#?}").unwrap();
    }
    assert!(shown.contains("CreateIntegration") && shown.contains("ProxyCall"));
    assert!(!shown.contains(PLANTED), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_hides_them_too() {
    let (url, _) = server(vec![
        Step::Answer(401, "", "no"),
        Step::Close,
        Step::Close,
        Step::Close,
    ])
    .await;
    let linkspan = Client::new(&url, PLANTED).unwrap();
    let refused = linkspan.integrations().list().await.unwrap_err();
    let call = linkspan
        .connection("a", "b")
        .proxy(Method::GET, "/x")
        .query("token", PLANTED);
    let broken = call.send().await.unwrap_err();
    let newline = Client::new(&url, format!("{PLANTED}\n")).unwrap();
    let unsent = newline.integrations().list().await.unwrap_err();
    let shown = format!("{refused} {refused:?} {broken} {broken:?} {unsent} {unsent:?}");
    assert!(
        shown.contains("401") && shown.contains("no answer"),
        "{shown}"
    );
    assert!(!shown.contains(PLANTED), "{shown}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_answered_hides_them_too() {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    let linkspan = client(&app);
    let handle = linkspan.connection("demo", &id);
    let connection = handle.get().send().await.unwrap();
    let token = handle.access_token().await.unwrap();
    let details = linkspan
        .integrations()
        .get("demo")
        .with_credentials()
        .send()
        .await
        .unwrap();
    let session = linkspan
        .connect_sessions()
        .create()
        .tag("a", "b")
        .send()
        .await
        .unwrap();
    let answer = handle.proxy(Method::GET, "/api/echo").send().await.unwrap();
    let shown = format!("{connection:?} {token:?} {details:?} {session:?} {answer:?}");
    assert!(shown.contains(&id));
    for secret in [
        token.expose_secret(),
        &app.provider.client().client_secret,
        session.token.expose_secret(),
        app.dev.api_key.expose_secret(),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
