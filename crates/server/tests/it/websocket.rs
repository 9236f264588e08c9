//! The popup's result channel over a real websocket.

use futures_util::{SinkExt, StreamExt};
use linkspan_simulator::browser::{self, Decision};
use linkspan_testkit::TestApp;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(app: &TestApp) -> (Socket, String) {
    let mut request = app.url("/").replace("http", "ws").into_client_request().unwrap();
    let origin = "https://app.example".parse().unwrap();
    request.headers_mut().insert("origin", origin);
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.unwrap();
    let ack = next(&mut socket).await;
    assert_eq!(ack["message_type"], "connection_ack");
    let id = ack["ws_client_id"].as_str().unwrap().to_owned();
    (socket, id)
}

async fn next(socket: &mut Socket) -> Value {
    loop {
        match socket.next().await.unwrap().unwrap() {
            Message::Text(text) => return serde_json::from_str(&text).unwrap(),
            Message::Ping(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn finish(app: &TestApp, id: &str, decision: Decision) -> String {
    let token = app.connect_session().await;
    let start = app.begin("demo", &format!("{token}&ws_client_id={id}")).await;
    assert_eq!(start.status, 302, "{start:?}");
    let user = linkspan_simulator::Settings::default().user;
    let location = start.header("location").unwrap();
    let back = browser::authorize(location, &user, decision).await.unwrap();
    let page = app.come_back(&back, start.header("set-cookie")).await;
    String::from_utf8(page.body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_that_waits_gets_the_result_once() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let (mut socket, id) = open(&app).await;
    let page = finish(&app, &id, Decision::Allow).await;
    assert!(page.contains("https://app.example"), "the page knows whom to tell");
    let result = next(&mut socket).await;
    assert_eq!(result["message_type"], "success");
    assert_eq!(result["provider_config_key"], "demo");
    assert_eq!(result["is_pending"], false);
    let listed = app.get("/connections").await.json();
    assert_eq!(result["connection_id"], listed["connections"][0]["connection_id"]);
    assert!(matches!(socket.next().await, Some(Ok(Message::Close(_))) | None));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_that_waits_is_told_of_a_refusal() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let (mut socket, id) = open(&app).await;
    finish(&app, &id, Decision::Deny).await;
    let result = next(&mut socket).await;
    assert_eq!(result["message_type"], "error");
    assert_eq!(result["error_type"], "callback_err");
    assert!(result["error_desc"].as_str().unwrap().contains("access_denied"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_cannot_start_is_told_to_the_page() {
    let app = TestApp::start().await;
    let (mut socket, id) = open(&app).await;
    let token = app.connect_session().await;
    let reply = app.begin("none", &format!("{token}&ws_client_id={id}")).await;
    assert_eq!(reply.status, 400);
    let result = next(&mut socket).await;
    assert_eq!(result["error_type"], json!("unknown_config_key"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_flow_cannot_take_over_a_channel() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let (_socket, id) = open(&app).await;
    let token = app.connect_session().await;
    let with_channel = format!("{token}&ws_client_id={id}");
    assert_eq!(app.begin("demo", &with_channel).await.status, 302);
    assert_eq!(app.begin("demo", &with_channel).await.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_closes_the_websockets_that_wait() {
    let app = TestApp::start().await;
    let (mut socket, _) = open(&app).await;
    let closed = async {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_close() {
                break;
            }
        }
        socket.close(None).await.ok();
        socket.flush().await.ok();
    };
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(15), async {
        tokio::join!(app.stop(), closed)
    });
    assert!(stopped.await.is_ok(), "a page that waits holds the server up");
}
