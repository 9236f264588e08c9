//! What providers answer to a refresh, beside new tokens.

use std::time::Duration;

use chrono::TimeDelta;
use linkspan_simulator::Fault;
use linkspan_testkit::TestApp;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::fixture::{BACKOFF_OVER, EXPIRED, age, app, connect, force, get, shift, tokens};

/// The provider answers so; the connection shows it, and the next refresh finds
/// the refresh token good.
async fn is_a_failure(status: u16, body: &str, reason: &str) {
    let app = app().await;
    connect(&app, "one", EXPIRED).await;
    app.provider.control().fail_next(Fault::TokenError {
        status,
        body: body.to_owned(),
    });
    let failed = get(&app, "one").await;
    let told = (failed.status.as_u16(), failed.code());
    assert_eq!(told, (400, "invalid_credentials".to_owned()), "{failed:?}");
    let message = failed.json()["error"]["message"].clone();
    assert!(message.as_str().unwrap().contains(reason), "{message}");
    age(&app, "one", BACKOFF_OVER).await;
    let reply = get(&app, "one").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(app.provider.control().refusals(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn html() {
    let page = "<html><body>Down for maintenance</body></html>";
    is_a_failure(200, page, "text/html").await;
    is_a_failure(502, page, "text/html").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_with_status_200() {
    let error = r#"{"error":"invalid_grant","error_description":"try later"}"#;
    is_a_failure(200, error, "try later").await;
    is_a_failure(
        200,
        r#"{"ok":false,"error":"token_revoked"}"#,
        "token_revoked",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_at_all() {
    is_a_failure(200, r#"{"token_type":"bearer"}"#, "no access token").await;
    is_a_failure(200, "", "not with tokens").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_token_and_no_new_refresh_token() {
    let app = app().await;
    let old = connect(&app, "one", EXPIRED).await;
    app.provider.control().fail_next(Fault::KeepRefreshToken);
    let reply = get(&app, "one").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let kept = tokens(&reply);
    assert_ne!(kept.0, old.0);
    assert_eq!(kept.1, old.1, "the old refresh token is kept");
    let forced = force(&app, "one").await;
    assert_eq!(forced.status, 200, "and is still good: {forced:?}");
}

/// A token that lives for a minute is used for most of it, though the margin is
/// a quarter of an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_shorter_life_than_the_margin() {
    let app = app().await;
    connect(&app, "one", EXPIRED).await;
    let control = app.provider.control();
    control.set_access_token_life(Duration::from_secs(600));
    let first = tokens(&get(&app, "one").await);
    for _ in 0..3 {
        assert_eq!(tokens(&get(&app, "one").await), first);
    }
    assert_eq!(control.token_requests(), 1);
}

/// While the token still works nobody waits long for a slow provider, and what
/// it gives in the end is stored.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_answer_while_the_token_works() {
    let app = app().await;
    let control = app.provider.control();
    control.set_access_token_life(Duration::from_secs(60));
    connect(&app, "one", EXPIRED).await;
    let first = tokens(&get(&app, "one").await);
    // In its last fifth: it works, and is due.
    let due = TimeDelta::seconds(100);
    shift(&app, "demo", "one", due).await;
    control.fail_next(Fault::SlowToken(Duration::from_secs(8)));
    let all = (0..8).map(|_| get(&app, "one"));
    for reply in futures_util::future::join_all(all).await {
        assert_eq!(tokens(&reply), first, "{reply:?}");
    }
    let stored = async {
        while tokens(&get(&app, "one").await) == first {
            tokio::task::yield_now().await;
        }
    };
    let stored = tokio::time::timeout(Duration::from_secs(30), stored).await;
    stored.expect("it is stored");
    assert_eq!(control.refreshes(), 2);
}

/// A provider that sends its answer twice over the same connection. The second
/// one must not be taken for the answer to the next request.
#[tokio::test(flavor = "multi_thread")]
async fn twice() {
    let app = TestApp::start_with(&[("LINKSPAN_CACHE_TTL_MS", "0")]).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let provider = tokio::spawn(async move {
        for n in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let asked = request(&mut stream).await;
            assert!(asked.contains(&format!("refresh_token=r{n}")), "{asked}");
            let body = format!(
                r#"{{"access_token":"a{next}","refresh_token":"r{next}","expires_in":3600}}"#,
                next = n + 1
            );
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            let twice = format!("{answer}{answer}");
            stream.write_all(twice.as_bytes()).await.unwrap();
            // Open until the caller closes it, which it must.
            let _ = stream.read(&mut [0; 64]).await;
        }
    });
    let integration = json!({
        "unique_key": "demo",
        "provider": "demo",
        "credentials": { "type": "OAUTH2", "client_id": "c", "client_secret": "s" },
        "integration_config": { "baseUrl": format!("http://{address}") },
    });
    assert_eq!(app.post("/integrations", integration).await.status, 200);
    let connection = json!({
        "provider_config_key": "demo",
        "connection_id": "one",
        "credentials": {
            "type": "OAUTH2",
            "access_token": "a0",
            "refresh_token": "r0",
            "expires_at": "2020-01-01T00:00:00Z",
        },
    });
    assert_eq!(app.post("/connections", connection).await.status, 200);
    assert_eq!(tokens(&get(&app, "one").await), (json!("a1"), json!("r1")));
    assert_eq!(
        tokens(&force(&app, "one").await),
        (json!("a2"), json!("r2"))
    );
    provider.await.unwrap();
}

async fn request(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("refresh_token=r") {
        let mut part = [0; 4096];
        let length = stream.read(&mut part).await.unwrap();
        assert_ne!(length, 0, "the caller closed too soon");
        text.extend_from_slice(&part[..length]);
    }
    String::from_utf8_lossy(&text).into_owned()
}
