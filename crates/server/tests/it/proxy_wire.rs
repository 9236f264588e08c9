//! The proxy against APIs whose answers are written byte by byte.

use http::{Method, StatusCode};
use linkspan_testkit::Reply;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::proxy::Demo;
use crate::upstream::{Calls, Upstream};

/// An API that gives its only caller these bytes, and the head of the request
/// that it got, in lower case.
async fn api(answer: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        String::from_utf8(head).unwrap().to_ascii_lowercase()
    });
    (url, task)
}

async fn call(demo: &Demo, method: Method, answer: &'static str) -> (Reply, String) {
    let (url, asked) = api(answer).await;
    let headers = demo.headers(&[("Base-Url-Override", &url)]);
    let key = &demo.app.dev.api_key;
    let reply = demo
        .app
        .call_as(key, method, "/proxy/x", &headers, Value::Null)
        .await;
    (reply, asked.await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_connection_end_at_the_proxy() {
    let demo = Demo::start().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close, x-hop\r\nx-hop: 1\r\n\
                  keep-alive: timeout=5\r\nproxy-authenticate: Basic\r\nx-end: 1\r\n\r\nok";
    let (reply, asked) = call(&demo, Method::GET, answer).await;
    assert_eq!(reply.body, "ok");
    assert_eq!(reply.header("x-end"), Some("1"));
    for gone in ["x-hop", "keep-alive", "proxy-authenticate", "connection"] {
        assert_eq!(reply.header(gone), None, "{gone}");
    }
    assert!(asked.starts_with("get /x http/1.1\r\n"), "{asked}");
    assert!(asked.contains("\r\nhost: 127.0.0.1:"), "{asked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_without_a_body_keep_their_length() {
    let demo = Demo::start().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n";
    let (reply, asked) = call(&demo, Method::HEAD, answer).await;
    assert!(asked.starts_with("head /x"), "{asked}");
    assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, 0));
    assert_eq!(reply.header("content-length"), Some("1000"));

    let answer = "HTTP/1.1 304 Not Modified\r\netag: \"a\"\r\n\r\n";
    let (reply, _) = call(&demo, Method::GET, answer).await;
    assert_eq!(
        (reply.status, reply.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
    assert_eq!(reply.header("etag"), Some("\"a\""));

    let answer = "HTTP/1.1 204 No Content\r\n\r\n";
    let (reply, _) = call(&demo, Method::GET, answer).await;
    assert_eq!(
        (reply.status, reply.body.len()),
        (StatusCode::NO_CONTENT, 0)
    );
    // The connection is still in step.
    assert_eq!(demo.app.get("/connections").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_ends_with_the_connection_comes_through() {
    let demo = Demo::start().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\nuntil the end";
    let (reply, _) = call(&demo, Method::GET, answer).await;
    assert_eq!(reply.body, "until the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_http_is_an_error_of_the_upstream() {
    let demo = Demo::start().await;
    for answer in ["SSH-2.0-OpenSSH_9.2\r\n", ""] {
        let (reply, _) = call(&demo, Method::POST, answer).await;
        assert_eq!(reply.status, StatusCode::BAD_GATEWAY, "{answer:?}");
        assert_eq!(reply.code(), "upstream_unreachable");
    }
}

/// An API's own allowance is the one that its caller has to keep to.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_api_says_of_its_limits_arrives() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    for (said, remaining, reset) in [
        ("x-ratelimit-remaining: 7\r\n", Some("7"), false),
        ("x-ratelimit-reset: 9\r\n", None, true),
        ("", Some("999997"), true),
    ] {
        let call = calls.get(&upstream, &[]);
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n{said}\r\n");
        upstream.answer(answer).await;
        let answer = call.await.unwrap();
        let header = |name: &str| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(
            header("x-ratelimit-remaining").is_some(),
            remaining.is_some(),
            "{said}"
        );
        assert_eq!(header("x-ratelimit-reset").is_some(), reset, "{said}");
        if !said.is_empty() {
            assert_eq!(header("x-ratelimit-remaining"), remaining, "{said}");
            assert_eq!(header("x-ratelimit-limit"), None, "{said}");
        }
    }
}
