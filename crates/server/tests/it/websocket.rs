//! The popup's result channel over a real websocket.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::{SinkExt, StreamExt};
use linkspan_shared::db::schema::popup_channels;
use linkspan_simulator::browser::{self, Decision};
use linkspan_testkit::TestApp;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

type Socket =
    tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

async fn open(app: &TestApp) -> (Socket, String) {
    open_at(&app.url("")).await
}

async fn open_at(server: &str) -> (Socket, String) {
    let url = format!("{}/", server.replace("http", "ws"));
    let mut request = url.into_client_request().unwrap();
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

async fn until_closed(socket: &mut Socket) {
    while let Some(Ok(message)) = socket.next().await {
        assert!(!message.is_text(), "{message:?}");
        if message.is_close() {
            return;
        }
    }
}

async fn finish(app: &TestApp, id: &str, decision: Decision) -> String {
    let token = app.connect_session().await;
    let start = app
        .begin("demo", &format!("{token}&ws_client_id={id}"))
        .await;
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
    assert!(
        page.contains("https://app.example"),
        "the page knows whom to tell"
    );
    let result = next(&mut socket).await;
    assert_eq!(result["message_type"], "success");
    assert_eq!(result["provider_config_key"], "demo");
    assert_eq!(result["is_pending"], false);
    let listed = app.get("/connections").await.json();
    assert_eq!(
        result["connection_id"],
        listed["connections"][0]["connection_id"]
    );
    assert!(matches!(
        socket.next().await,
        Some(Ok(Message::Close(_))) | None
    ));
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
    assert!(
        result["error_desc"]
            .as_str()
            .unwrap()
            .contains("access_denied")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_that_cannot_start_is_told_to_the_page() {
    let app = TestApp::start().await;
    let (mut socket, id) = open(&app).await;
    let token = app.connect_session().await;
    let reply = app
        .begin("none", &format!("{token}&ws_client_id={id}"))
        .await;
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
    assert!(
        stopped.await.is_ok(),
        "a page that waits holds the server up"
    );
}

/// Starts a flow at one server.
async fn begin(app: &TestApp, server: &str, id: &str) -> linkspan_testkit::Reply {
    let token = app.connect_session().await;
    app.begin_at(server, "demo", &format!("{token}&ws_client_id={id}"))
        .await
}

async fn channels(app: &TestApp) -> i64 {
    let mut conn = app.core.db.conn().await.unwrap();
    popup_channels::table
        .count()
        .get_result(&mut conn)
        .await
        .unwrap()
}

async fn until_no_channel_is_left(app: &TestApp) {
    let mut tries = 0;
    while channels(app).await > 0 {
        tries += 1;
        assert!(tries < 200, "a channel outlives its websocket");
        tokio::time::sleep(std::time::Duration::from_millis(25)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_result_finds_its_page_whichever_servers_the_flow_goes_through() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let (second, third) = (app.another_server().await, app.another_server().await);
    let (mut socket, id) = open(&app).await;
    let start = begin(&app, &second.base_url, &id).await;
    assert_eq!(start.status, 302, "{start:?}");
    let user = linkspan_simulator::Settings::default().user;
    let location = start.header("location").unwrap();
    let back = browser::authorize(location, &user, Decision::Allow)
        .await
        .unwrap();
    let page = app
        .come_back_to(&third.base_url, &back, start.header("set-cookie"))
        .await;
    let page = String::from_utf8(page.body.to_vec()).unwrap();
    assert!(
        page.contains("https://app.example"),
        "the page knows whom to tell: {page}"
    );
    let result = next(&mut socket).await;
    assert_eq!(result["message_type"], "success");
    let listed = app.get("/connections").await.json();
    assert_eq!(
        result["connection_id"],
        listed["connections"][0]["connection_id"]
    );
    assert!(
        matches!(socket.next().await, Some(Ok(Message::Close(_))) | None),
        "told once"
    );
    until_no_channel_is_left(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_belongs_to_its_first_flow_at_every_server() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let second = app.another_server().await;
    let (_socket, id) = open(&app).await;
    assert_eq!(begin(&app, &second.base_url, &id).await.status, 302);
    let own = app.url("");
    for server in [&own, &second.base_url] {
        let refused = begin(&app, server, &id).await;
        assert_eq!(refused.status, 400, "{server}");
        assert!(
            String::from_utf8_lossy(&refused.body).contains("used before"),
            "{refused:?}"
        );
    }
    let unknown = begin(&app, &second.base_url, "0123456789abcdef0123456789abcdef").await;
    assert_eq!(unknown.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_flows_that_name_a_channel_at_once_one_gets_it() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let second = app.another_server().await;
    let (_socket, id) = open(&app).await;
    let own = app.url("");
    let servers = [&own, &second.base_url, &own, &second.base_url];
    let begun = servers.map(|server| begin(&app, server, &id));
    let statuses = futures_util::future::join_all(begun).await;
    let taken = statuses.iter().filter(|reply| reply.status == 302).count();
    assert_eq!(taken, 1, "{statuses:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_told_at_once_of_a_flow_that_another_server_cannot_start() {
    let app = TestApp::start().await;
    let second = app.another_server().await;
    let (mut socket, id) = open(&app).await;
    let reply = app
        .begin_at(&second.base_url, "demo", &format!("none&ws_client_id={id}"))
        .await;
    assert_eq!(reply.status, 400);
    let result = next(&mut socket).await;
    assert_eq!(
        result["error_type"],
        json!("account_or_environment_retrieval_err")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_takes_its_own_pages_along_and_no_others() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let second = app.another_server().await;
    let (mut socket, id) = open(&app).await;
    let (mut lost, lost_id) = open_at(&second.base_url).await;
    assert_eq!(channels(&app).await, 2);
    tokio::join!(second.stop(), until_closed(&mut lost));
    assert_eq!(begin(&app, &app.url(""), &lost_id).await.status, 400);
    finish(&app, &id, Decision::Allow).await;
    assert_eq!(next(&mut socket).await["message_type"], "success");
}

/// A killed server cannot clear up: its row goes with its time.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_server_leaves_is_not_bound_for_ever_and_swept() {
    let app = TestApp::start().await;
    app.create_demo("demo").await;
    let mut conn = app.core.db.conn().await.unwrap();
    let left = "left-by-a-killed-server";
    let kept = "of-a-server-that-runs";
    for id in [left, kept] {
        linkspan_shared::popup_channels::open(&mut conn, uuid::Uuid::new_v4(), id, None)
            .await
            .unwrap();
    }
    diesel::update(popup_channels::table.find(linkspan_shared::token::hash(left)))
        .set(popup_channels::expires_at.eq(chrono::Utc::now() - chrono::TimeDelta::seconds(1)))
        .execute(&mut conn)
        .await
        .unwrap();
    drop(conn);
    assert_eq!(begin(&app, &app.url(""), left).await.status, 400);
    linkspan_shared::connections::sweep::sweep(&app.core)
        .await
        .unwrap();
    assert_eq!(channels(&app).await, 1);
    assert_eq!(begin(&app, &app.url(""), kept).await.status, 302);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_goes_leaves_no_channel() {
    let app = TestApp::start().await;
    let (mut socket, _) = open(&app).await;
    assert_eq!(channels(&app).await, 1);
    socket.close(None).await.unwrap();
    until_no_channel_is_left(&app).await;
}
