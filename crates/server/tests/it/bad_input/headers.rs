//! Values that end in headers and redirects, with what would begin another
//! header there.

use http::Method;
use linkspan_testkit::TestApp;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{first_path, import, refused, rows, start};

const EVIL: &str = "a\r\nX-Evil: 1";
const EVIL_ENCODED: &str = "a%0D%0AX-Evil%3A%201";

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_carries_what_the_browser_sent_encoded() {
    let app = start(&[]).await;
    app.create_demo("demo").await;
    for name in [
        "authorization_params[prompt]",
        "authorization_params[a%0D%0Ab]",
    ] {
        let session = app.connect_session().await;
        let path =
            format!("/oauth/connect/demo?connect_session_token={session}&{name}={EVIL_ENCODED}");
        let reply = app.get(&path).await;
        assert_eq!(reply.status, 302, "{reply:?}");
        assert_eq!(reply.header("x-evil"), None);
        let location: url::Url = reply.header("location").unwrap().parse().unwrap();
        assert!(
            location.query_pairs().any(|(_, value)| value == EVIL),
            "{location}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_the_provider_s_address_uses_cannot_begin_a_line() {
    let app = start(&[]).await;
    app.create_demo("demo").await;
    let session = app.connect_session().await;
    let path = format!(
        "/oauth/connect/demo?connect_session_token={session}&params[baseUrl]={EVIL_ENCODED}"
    );
    let reply = app.get(&path).await;
    assert!([302, 400].contains(&reply.status.as_u16()), "{reply:?}");
    assert_eq!(reply.header("x-evil"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_says_cannot_leave_the_page_s_text() {
    let app = start(&[]).await;
    app.create_demo("demo").await;
    let session = app.connect_session().await;
    let begun = app.begin("demo", &session).await;
    let location: url::Url = begun.header("location").unwrap().parse().unwrap();
    let state = location.query_pairs().find(|(name, _)| name == "state");
    let state = state.unwrap().1.into_owned();
    let back = format!(
        "http://x/oauth/callback?state={state}&error={EVIL_ENCODED}\
         &error_description=%3Cscript%3Ealert(1)%3C/script%3E%00"
    );
    let page = app.come_back(&back, begun.header("set-cookie")).await;
    assert_eq!((page.status.as_u16(), page.header("x-evil")), (400, None));
    let text = String::from_utf8_lossy(&page.body);
    assert!(
        text.contains("&lt;script&gt;") || !text.contains("alert(1)"),
        "{text}"
    );
    assert!(!text.contains("<script>alert"), "{text}");
}

/// A call through the proxy, with a connection whose API key is `api_key`.
async fn proxied(app: &TestApp, id: &str, headers: &[(&str, &str)]) -> linkspan_testkit::Reply {
    let override_url = app
        .provider
        .base_url()
        .as_str()
        .trim_end_matches('/')
        .to_owned();
    let mut all = vec![
        ("Provider-Config-Key", "bearer"),
        ("Connection-Id", id),
        ("Base-Url-Override", override_url.as_str()),
    ];
    all.extend_from_slice(headers);
    let path = "/proxy/key-api/echo/x";
    app.call_as(&app.dev.api_key, Method::GET, path, &all, Value::Null)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_no_header_can_carry_is_refused_before_it_is_stored() {
    let app = start(&[]).await;
    let before = rows(&app).await;
    let mut body = import("evil");
    body["credentials"]["apiKey"] = json!(EVIL);
    let reply = app.post("/connections", body).await;
    refused(&reply, 400, "invalid_body", "import");
    assert_eq!(first_path(&reply), ["credentials", "apiKey"]);
    assert_eq!(rows(&app).await, before);

    let session = app.connect_session().await;
    let before = rows(&app).await;
    let path = format!("/api-auth/api-key/bearer?connect_session_token={session}");
    let reply = app.post(&path, json!({ "apiKey": EVIL })).await;
    refused(&reply, 400, "invalid_body", "form");
    assert_eq!(first_path(&reply), ["apiKey"]);
    assert_eq!(rows(&app).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxied_header_arrives_as_one() {
    let app = start(&[]).await;
    let mut body = import("c2");
    body["credentials"]["apiKey"] = json!("demo-api-key");
    assert_eq!(app.post("/connections", body).await.status, 200);
    let reply = proxied(&app, "c2", &[("Nango-Proxy-X-Odd", "a%0d%0aX-Evil: 1")]).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let seen = reply.json();
    assert_eq!(seen["headers"]["x-odd"], "a%0d%0aX-Evil: 1");
    assert!(seen["headers"].get("x-evil").is_none(), "{seen}");
    // Names that would say how the message is framed, or whose it is.
    for name in [
        "Host",
        "Content-Length",
        "Transfer-Encoding",
        "Connection",
        "Authorization",
    ] {
        let header = format!("Nango-Proxy-{name}");
        let reply = proxied(&app, "c2", &[(&header, "evil.example")]).await;
        let seen = reply.json()["headers"][name.to_lowercase()].clone();
        assert!(
            reply.status == 400 || name == "Authorization" || seen != "evil.example",
            "{name}: {reply:?}"
        );
    }
}

/// Sends a request as it is, which no HTTP client would, and gives the answer.
async fn raw(app: &TestApp, request: &[u8]) -> String {
    let address = app.url("").replace("http://", "");
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(request).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_hides_a_header_in_another_is_no_request() {
    let app = start(&[]).await;
    let mut body = import("c2");
    body["credentials"]["apiKey"] = json!("demo-api-key");
    assert_eq!(app.post("/connections", body).await.status, 200);
    let override_url = app.provider.base_url().to_string();
    let key = app.dev.api_key.expose_secret();
    let request = |line: &str| {
        format!(
            "GET /proxy/key-api/echo/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
             Authorization: Bearer {key}\r\nProvider-Config-Key: bearer\r\n\
             Connection-Id: c2\r\nBase-Url-Override: {override_url}\r\n{line}\r\n\r\n"
        )
    };
    let fine = raw(&app, request("Nango-Proxy-X-Odd: a").as_bytes()).await;
    assert!(
        fine.starts_with("HTTP/1.1 200") && fine.contains("x-odd"),
        "{fine}"
    );
    for line in [
        "Nango-Proxy-X-Odd: a\rX-Evil: 1",
        "Nango-Proxy-X-Odd: a\0b",
        "Nango-Proxy-X-Odd : a",
        "Nango-Proxy-X\rEvil: 1",
        "Nango-Proxy-X-Odd: a\r\n folded: 1",
        "Transfer-Encoding: chunked\r\nContent-Length: 3",
        "Content-Length: 3\r\nContent-Length: 4",
        "Content-Length: -1",
    ] {
        let answer = raw(&app, request(line).as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{line:?}: {answer}");
    }
}
