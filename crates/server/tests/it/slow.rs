//! Callers that hold a connection and give nothing for it.

use std::time::Duration;

use linkspan_testkit::TestApp;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Of a connection that ought to be closed, or of an answer.
const PATIENCE: Duration = Duration::from_secs(30);
const HEAD: &str = "LINKSPAN_SERVER_HEAD_TIMEOUT_MS";
const BODY: &str = "LINKSPAN_SERVER_BODY_TIMEOUT_MS";
const WRITE: &str = "LINKSPAN_SERVER_WRITE_TIMEOUT_MS";
const KEEP_ALIVE: &str = "LINKSPAN_SERVER_KEEP_ALIVE_MS";

/// A server with one limit of a second, and the others out of the way: what is
/// not about time must come in time on a slow machine too.
async fn start(limit: &str) -> TestApp {
    let others = [HEAD, BODY, WRITE, KEEP_ALIVE].map(|setting| match setting {
        _ if setting == limit => (setting, "1000"),
        _ => (setting, "600000"),
    });
    TestApp::start_with(&others).await
}

/// A connection that has sent something.
async fn sent(app: &TestApp, text: &str) -> TcpStream {
    let address = app.url("").replace("http://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// All that comes until the server closes the connection.
async fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is reset is closed too.
    let closed = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    assert!(closed.is_ok(), "the server closes the connection");
    String::from_utf8(answer).unwrap()
}

/// The same, while a byte goes out every now and then: slowly enough to take
/// for ever, and never so slowly that nothing happens for long.
async fn until_closed_though_it_drips(stream: TcpStream) -> String {
    let (mut from, mut to) = stream.into_split();
    let drip = tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        while to.write_all(b"x").await.is_ok() {
            every.tick().await;
        }
    });
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(PATIENCE, from.read_to_end(&mut answer)).await;
    drip.abort();
    assert!(closed.is_ok(), "the server closes the connection");
    String::from_utf8(answer).unwrap()
}

async fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(br#"{"result":"ok"}"#) {
        let read = stream.read_buf(&mut answer);
        let read = tokio::time::timeout(PATIENCE, read).await.unwrap().unwrap();
        assert!(read > 0, "{}", String::from_utf8_lossy(&answer));
    }
    String::from_utf8(answer).unwrap()
}

fn post(app: &TestApp, path: &str, framing: &str) -> String {
    let key = secrecy::ExposeSecret::expose_secret(&app.dev.api_key);
    format!(
        "POST {path} HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n\
         Provider-Config-Key: none\r\nConnection-Id: none\r\n\
         Content-Type: application/json\r\n{framing}\r\n\r\n"
    )
}

const HEALTH: &str = "GET /health HTTP/1.1\r\nHost: test\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_closes_the_connection() {
    let app = start(HEAD).await;
    let silent = sent(&app, "GET /health HTTP/1.1\r\nHost: test\r\n").await;
    assert_eq!(until_closed(silent).await, "");
    assert_eq!(until_closed(sent(&app, "").await).await, "");
    let dripping = sent(&app, "GET /health HTTP/1.1\r\nX-Long: ").await;
    assert_eq!(until_closed_though_it_drips(dripping).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_later_head_that_does_not_end_closes_the_connection() {
    let app = start(HEAD).await;
    for rest in ["GET /health HTTP/1.1\r\nHost: test\r\n", "G"] {
        let mut stream = sent(&app, HEALTH).await;
        read_answer(&mut stream).await;
        stream.write_all(rest.as_bytes()).await.unwrap();
        assert_eq!(until_closed(stream).await, "");
    }
    let mut stream = sent(&app, HEALTH).await;
    read_answer(&mut stream).await;
    stream
        .write_all(b"GET /health HTTP/1.1\r\nX-Long: ")
        .await
        .unwrap();
    assert_eq!(until_closed_though_it_drips(stream).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let app = start(KEEP_ALIVE).await;
    let mut stream = sent(&app, HEALTH).await;
    read_answer(&mut stream).await;
    assert_eq!(until_closed(stream).await, "");
    // A body that has come is over, though nobody read it.
    let unread = post(&app, "/no/such/route", "Content-Length: 2") + "{}";
    let answer = until_closed(sent(&app, &unread).await).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    // What came with the request before it is not seen to begin.
    let pipelined = format!("{HEALTH}GET /hea");
    let answer = until_closed(sent(&app, &pipelined).await).await;
    assert_eq!(answer.matches("HTTP/1.1 200 ").count(), 1, "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_does_not_come_is_given_up() {
    let app = start(BODY).await;
    let framings = ["Content-Length: 1000", "Transfer-Encoding: chunked"];
    for path in ["/integrations", "/proxy/items", "/connect/sessions"] {
        for framing in framings {
            let request = post(&app, path, framing);
            let silent = sent(&app, &request).await;
            let dripping = sent(&app, &format!("{request}3E8\r\n")).await;
            let (silent, dripping) =
                tokio::join!(until_closed(silent), until_closed_though_it_drips(dripping));
            for answer in [silent, dripping] {
                assert!(
                    answer.starts_with("HTTP/1.1 408 "),
                    "{path} {framing}: {answer}"
                );
                assert!(
                    answer.contains("request_timeout"),
                    "{path} {framing}: {answer}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_none_is_no_way_round() {
    let app = start(BODY).await;
    let request = post(
        &app,
        "/integrations",
        "Connection: Upgrade\r\nUpgrade: websocket",
    );
    let answer = until_closed(sent(&app, &request).await).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

/// The answer is there before the body, of which nobody wants the rest.
#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_body_that_nobody_reads_is_not_waited_for() {
    let app = start(HEAD).await;
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let request = post(&app, "/no/such/route", framing);
        let answer = until_closed(sent(&app, &request).await).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{framing}: {answer}");
        let dripping = sent(&app, &format!("{request}3E8\r\n")).await;
        let answer = until_closed_though_it_drips(dripping).await;
        assert!(answer.starts_with("HTTP/1.1 404 "), "{framing}: {answer}");
    }
}

/// A thousand bytes earn a second, so this may take longer than the limit.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_comes_steadily_may_take_its_time() {
    let app = start(BODY).await;
    let body = format!(r#"{{"end_user":{{"id":"{}"}}}}"#, "x".repeat(200));
    let request = post(
        &app,
        "/connect/sessions",
        &format!(
            "Connection: close\r\nContent-Length: {}",
            body.len() + 3_000
        ),
    );
    let mut stream = sent(&app, &request).await;
    let mut every = tokio::time::interval(Duration::from_millis(40));
    for _ in 0..30 {
        stream.write_all(&[b' '; 100]).await.unwrap();
        every.tick().await;
    }
    stream.write_all(body.as_bytes()).await.unwrap();
    let answer = until_closed(stream).await;
    assert!(answer.starts_with("HTTP/1.1 201 "), "{answer}");
}

/// An API that answers without end, to a caller who takes nothing: the call to
/// the API ends too.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_is_given_up() {
    let app = start(WRITE).await;
    let id = app.connect_demo().await;
    let api = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", api.local_addr().unwrap());
    let key = secrecy::ExposeSecret::expose_secret(&app.dev.api_key);
    let request = format!(
        "GET /proxy/endless HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer {key}\r\n\
         Provider-Config-Key: demo\r\nConnection-Id: {id}\r\nBase-Url-Override: {base_url}\r\n\r\n"
    );
    let _caller = sent(&app, &request).await;
    let (mut call, _) = api.accept().await.unwrap();
    let mut head = [0; 4096];
    assert!(call.read(&mut head).await.unwrap() > 0);
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1000000000000\r\n\r\n";
    call.write_all(answer.as_bytes()).await.unwrap();
    let endless = async { while call.write_all(&[b'x'; 65_536]).await.is_ok() {} };
    let ended = tokio::time::timeout(PATIENCE, endless).await;
    ended.expect("the call ends with the caller's patience");
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_answered_meanwhile() {
    let app = TestApp::start().await;
    let body = post(&app, "/integrations", "Content-Length: 1000");
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(sent(&app, "GET /health HTTP/1.1\r\nHo").await);
        held.push(sent(&app, &body).await);
        let mut idle = sent(&app, HEALTH).await;
        read_answer(&mut idle).await;
        held.push(idle);
    }
    for _ in 0..10 {
        assert_eq!(app.get("/integrations").await.status, 200);
    }
    for stream in &held {
        let state = stream.try_read(&mut [0; 64]);
        let is_open = state.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(is_open, "those that are waited for still are");
    }
}
