//! One hop: what is sent, what comes back, limits and failures.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use linkspan_net::{Body, Deadlines, Error, Limits};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::server::{Reply, Server, ok};
use crate::{SOON, client, client_with, get, text};

const LIMITS: Limits = Limits {
    total: Duration::from_secs(20),
    max_body: 16,
};

#[tokio::test]
async fn host_framing_and_user_agent_are_the_clients() {
    let server = Server::start(|_| Reply::Send(ok("hello"))).await;
    let client = client_with(|settings| settings.user_agent = Some("linkspan-test".to_owned()));
    let request = Request::post(server.url("/a?b=c"))
        .header("host", "elsewhere.example")
        .header("content-length", "999")
        .header("transfer-encoding", "chunked")
        .header("connection", "close")
        .header("x-own", "kept")
        .body(Body::full("body"))
        .unwrap();
    let response = client.send(request, SOON).await.unwrap();
    assert_eq!(text(response).await, "hello");

    let [seen] = &server.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(seen.line(), "POST /a?b=c HTTP/1.1");
    assert_eq!(
        seen.header("host"),
        Some(server.address.to_string().as_str())
    );
    assert_eq!(seen.header("content-length"), Some("4"));
    assert_eq!(seen.header("transfer-encoding"), None);
    assert_eq!(seen.header("connection"), None);
    assert_eq!(seen.header("user-agent"), Some("linkspan-test"));
    assert_eq!(seen.header("x-own"), Some("kept"));
    assert_eq!(seen.body, "body");
}

#[tokio::test]
async fn an_empty_body_has_a_length_where_one_is_expected() {
    let server = Server::start(|_| Reply::Send(ok(""))).await;
    for (method, expected) in [
        ("POST", Some("0")),
        ("PUT", Some("0")),
        ("PATCH", Some("0")),
        ("GET", None),
        ("DELETE", None),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(server.url("/"))
            .body(Body::empty())
            .unwrap();
        client().send(request, SOON).await.unwrap();
        let seen = server.requests().pop().unwrap();
        assert_eq!(seen.header("content-length"), expected, "{method}");
        assert_eq!(seen.header("transfer-encoding"), None, "{method}");
    }
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let server = Server::start(|_| {
        Reply::Send(
            "HTTP/1.1 201 Created\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                .to_owned(),
        )
    })
    .await;
    let chunks = [Bytes::from("one"), Bytes::from("two")].map(Ok::<_, std::io::Error>);
    let request = Request::put(server.url("/"))
        .body(Body::stream(stream::iter(chunks)))
        .unwrap();
    let response = client().send(request, SOON).await.unwrap();
    assert_eq!(response.status(), StatusCode::CREATED);
    assert_eq!(text(response).await, "abcde");
    let [seen] = &server.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(seen.header("transfer-encoding"), Some("chunked"));
    assert_eq!(seen.body, "3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n");
}

#[tokio::test]
async fn a_failing_request_body_is_not_the_upstreams_fault() {
    let server = Server::start(|_| Reply::Send(ok("never"))).await;
    let broken = stream::iter([
        Ok(Bytes::from("one")),
        Err(std::io::Error::other("caller left")),
    ]);
    let request = Request::put(server.url("/"))
        .body(Body::stream(broken))
        .unwrap();
    let error = client().send(request, SOON).await.unwrap_err();
    assert!(matches!(error, Error::RequestBody { .. }), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn redirects_are_answers_to_send_and_fetch() {
    let server = Server::start(|_| crate::server::redirect(302, "/next")).await;
    let sent = client()
        .send(get(&server.url("/")).map(Into::into), SOON)
        .await
        .unwrap();
    assert_eq!(sent.status(), StatusCode::FOUND);
    let fetched = client().fetch(get(&server.url("/")), LIMITS).await.unwrap();
    assert_eq!(fetched.status(), StatusCode::FOUND);
    assert_eq!(server.requests().len(), 2);
}

#[tokio::test]
async fn fetch_reads_up_to_the_limit_and_no_further() {
    let server = Server::start(|request| {
        let body = if request.line().contains("fits") {
            "0123456789abcdef"
        } else {
            "0123456789abcdef!"
        };
        Reply::Send(if request.line().contains("chunked") {
            format!(
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
                body.len()
            )
        } else {
            ok(body)
        })
    })
    .await;
    for path in ["/fits", "/fits/chunked"] {
        let response = client()
            .fetch(get(&server.url(path)), LIMITS)
            .await
            .unwrap();
        assert_eq!(response.body().len(), 16, "{path}");
    }
    for path in ["/over", "/over/chunked"] {
        let error = client()
            .fetch(get(&server.url(path)), LIMITS)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::BodyTooLarge { limit: 16, .. }),
            "{path}: {error:?}"
        );
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Server::start(|request| {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab".to_owned();
        Reply::Stall(if request.line().contains("half") {
            head
        } else {
            String::new()
        })
    })
    .await;
    let after = Duration::from_millis(40);
    let deadlines = Deadlines {
        response_head: after,
    };
    let request = get(&server.url("/none?token=secret")).map(Body::from);
    let error = client().send(request, deadlines).await.unwrap_err();
    assert!(matches!(error, Error::TimeoutHead { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        format!("{} did not answer within 40 ms", server.address)
    );
    assert_eq!(error.network_code(), Some("ETIMEDOUT"));

    let limits = Limits {
        total: after,
        ..LIMITS
    };
    for path in ["/none", "/half"] {
        let error = client()
            .fetch(get(&server.url(path)), limits)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::TimeoutTotal { .. }),
            "{path}: {error:?}"
        );
    }
}

/// Whose fault it is that an upload does not go on.
#[tokio::test]
async fn a_silent_body_is_told_from_a_server_that_does_not_take_it() {
    let deadlines = Deadlines {
        response_head: Duration::from_millis(100),
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let put = |body| Request::put(&url).body(body).unwrap();
    let begun = stream::iter([Ok::<_, std::io::Error>(Bytes::from("begun"))]);
    let silent = Body::stream(begun.chain(stream::pending()));
    let error = client().send(put(silent), deadlines).await.unwrap_err();
    assert!(matches!(error, Error::RequestStalled { .. }), "{error:?}");
    assert!(!error.is_retryable());

    // It is accepted by the kernel, and nobody reads it.
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![0; 65_536])));
    let sent = client().send(put(Body::stream(endless)), deadlines).await;
    let error = sent.unwrap_err();
    assert!(matches!(error, Error::TimeoutHead { .. }), "{error:?}");
}

#[tokio::test]
async fn broken_answers_are_told_apart() {
    let server = Server::start(|request| match request.line() {
        line if line.contains("garbage") => {
            Reply::SendAndClose("SSH-2.0-OpenSSH\r\n\r\n".to_owned())
        }
        line if line.contains("half") => {
            Reply::SendAndClose("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab".to_owned())
        }
        _ => Reply::Close,
    })
    .await;
    let error = client()
        .fetch(get(&server.url("/close")), LIMITS)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Reset { .. }), "{error:?}");
    assert_eq!(
        (error.network_code(), error.is_retryable()),
        (Some("ECONNRESET"), true)
    );
    assert_eq!(
        server.requests().len(),
        1,
        "a new connection's failure is not replayed"
    );

    let error = client()
        .fetch(get(&server.url("/half")), LIMITS)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Reset { .. }), "{error:?}");

    let error = client()
        .fetch(get(&server.url("/garbage")), LIMITS)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Protocol { .. }), "{error:?}");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn a_closed_port_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = client()
        .fetch(get(&format!("http://{address}/")), LIMITS)
        .await
        .unwrap_err();
    assert_eq!(
        (error.network_code(), error.is_retryable()),
        (Some("ECONNREFUSED"), true)
    );
    assert_eq!(
        error.to_string(),
        format!("could not connect to {address}: connection refused")
    );
}

#[tokio::test]
async fn what_is_not_a_plain_http_request_is_refused() {
    let client = client();
    for uri in [
        "/relative",
        "ftp://example.com/",
        "http://me:pw@127.0.0.1/",
        "http://me@127.0.0.1/",
    ] {
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let error = client.send(request, SOON).await.unwrap_err();
        assert!(
            matches!(error, Error::InvalidUrl { .. }),
            "{uri}: {error:?}"
        );
        assert!(!format!("{error:?}{error}").contains("pw@"));
    }
    let connect = Request::connect("http://127.0.0.1:1/")
        .body(Body::empty())
        .unwrap();
    let error = client.send(connect, SOON).await.unwrap_err();
    assert!(matches!(error, Error::InvalidRequest { .. }), "{error:?}");
}

#[tokio::test]
async fn bodies_tell_their_kind_and_not_their_content() {
    assert_eq!(format!("{:?}", Body::full("secret")), "Body::full(6 bytes)");
    assert_eq!(format!("{:?}", Body::full("")), "Body::empty");
    let boxed = Body::boxed(http_body_util::Full::new(Bytes::from("all")));
    assert_eq!(boxed.collect().await.unwrap().to_bytes(), "all");
}

/// A body that is withdrawn when its turn comes takes the request with it.
#[tokio::test]
async fn a_request_whose_body_is_withdrawn_does_not_arrive() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    let withdrawn = stream::once(async { Err::<Bytes, _>("too late") });
    let request = Request::post(url)
        .header("content-length", "4")
        .body(Body::stream(withdrawn))
        .unwrap();
    let client = client();
    let (sent, arrived) = tokio::join!(client.fetch_once(request, LIMITS), async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        // A reset is an end too.
        let _ = stream.read_to_end(&mut bytes).await;
        String::from_utf8(bytes).unwrap()
    });
    assert!(matches!(sent, Err(Error::RequestBody { .. })), "{sent:?}");
    let body = arrived.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    assert_eq!(body, "", "{arrived}");
}
