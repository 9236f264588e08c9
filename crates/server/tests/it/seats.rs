//! How many pages may wait on websockets.

use linkspan_testkit::TestApp;
use serde_json::Value;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::Response;
use tokio_tungstenite::tungstenite::{Error, Message};

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

/// A websocket, or the answer that refuses it.
async fn open(app: &TestApp, forwarded_for: &str) -> Result<Socket, Response<Option<Vec<u8>>>> {
    let url = format!("{}/", app.url("").replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
    let forwarded_for = forwarded_for.parse().unwrap();
    request
        .headers_mut()
        .insert("x-forwarded-for", forwarded_for);
    match tokio_tungstenite::connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(answer)) => Err(*answer),
        Err(error) => panic!("{error}"),
    }
}

async fn is_open(socket: &mut Socket) -> bool {
    use futures_util::StreamExt;
    loop {
        match socket.next().await {
            Some(Ok(Message::Text(_))) => return true,
            Some(Ok(Message::Ping(_))) => {}
            _ => return false,
        }
    }
}

fn refusal(answer: &Response<Option<Vec<u8>>>) -> (u16, Value) {
    let body = answer.body().as_deref().unwrap_or_default();
    let body: Value = serde_json::from_slice(body).unwrap();
    assert_eq!(answer.headers()["retry-after"], "30");
    (answer.status().as_u16(), body["error"]["code"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_most_pages_are_refused_until_one_goes() {
    let app = TestApp::start_with(&[("LINKSPAN_SERVER_MAX_WEBSOCKETS", "2")]).await;
    let mut first = open(&app, "").await.unwrap();
    let mut second = open(&app, "").await.unwrap();
    assert!(is_open(&mut first).await && is_open(&mut second).await);
    let refused = open(&app, "").await.unwrap_err();
    assert_eq!(refusal(&refused), (503, "too_many_websockets".into()));
    assert_eq!(app.get("/integrations").await.status, 200);
    first.close(None).await.unwrap();
    let mut tries = 0;
    let mut third = loop {
        match open(&app, "").await {
            Ok(socket) => break socket,
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
        tries += 1;
        assert!(tries < 1_000, "a seat is not given back");
    };
    assert!(is_open(&mut third).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_has_a_share_and_is_named_by_a_trusted_proxy_only() {
    let settings = [
        ("LINKSPAN_SERVER_MAX_WEBSOCKETS_PER_ADDRESS", "1"),
        ("LINKSPAN_SERVER_TRUSTED_PROXIES", "127.0.0.0/8"),
    ];
    let app = TestApp::start_with(&settings).await;
    let _first = open(&app, "192.0.2.1").await.unwrap();
    let refused = open(&app, "192.0.2.1").await.unwrap_err();
    assert_eq!(refusal(&refused), (429, "too_many_websockets".into()));
    let _other = open(&app, "192.0.2.2").await.unwrap();

    let app = TestApp::start_with(&settings[..1]).await;
    let _first = open(&app, "192.0.2.1").await.unwrap();
    let refused = open(&app, "192.0.2.2").await.unwrap_err();
    assert_eq!(refusal(&refused).0, 429, "whoever says so is not believed");
}
