//! Answers and bodies that take their time, and callers that do not wait.

use http::{Method, StatusCode};
use http_body_util::BodyExt;
use linkspan_net::Incoming;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::upstream::{Calls, Upstream};

async fn piece(body: &mut Incoming) -> String {
    let frame = body.frame().await.unwrap().unwrap();
    String::from_utf8(frame.into_data().unwrap().to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_arrives_while_the_api_holds_the_next() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let call = calls.get(&upstream, &[("nango-proxy-accept", "text/event-stream")]);
    let mut exchange = upstream.accept().await;
    assert!(exchange.head.contains("\r\naccept: text/event-stream\r\n"));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                transfer-encoding: chunked\r\n\r\n";
    exchange.send(head).await;
    let answer = call.await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["transfer-encoding"], "chunked");
    let mut body = answer.into_body();
    for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
        exchange
            .send(format!("{:x}\r\n{event}\r\n", event.len()))
            .await;
        assert_eq!(piece(&mut body).await, event);
    }
    exchange.send("0\r\n\r\n").await;
    assert!(body.frame().await.is_none());
    assert_eq!(calls.logged(1).await[0].0, "success");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_an_announced_end_arrives_piece_by_piece() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let call = calls.get(&upstream, &[]);
    let mut exchange = upstream.accept().await;
    exchange.send("HTTP/1.1 200 OK\r\n\r\nfirst").await;
    let mut body = call.await.unwrap().into_body();
    assert_eq!(piece(&mut body).await, "first");
    exchange.send("second").await;
    assert_eq!(piece(&mut body).await, "second");
    drop(exchange);
    assert!(body.frame().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_before_the_answer_ends_the_call_at_the_api() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let caller = calls.dial(Method::GET, &upstream, &[], "").await;
    let mut exchange = upstream.accept().await;
    drop(caller);
    assert!(exchange.rest().await.is_empty());
    let text = "ended before the API answered: the caller left, or the server stopped";
    let entry = calls.logged(1).await.remove(0);
    assert_eq!((entry.0.as_str(), entry.2.as_str()), ("failed", text));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_in_the_middle_ends_the_call_at_the_api() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nbegun",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nbegun\r\n",
    ] {
        let mut caller = calls.dial(Method::GET, &upstream, &[], "").await;
        let mut exchange = upstream.accept().await;
        exchange.send(head).await;
        let mut begun = Vec::new();
        while !begun.windows(5).any(|piece| piece == b"begun") {
            begun.push(caller.read_u8().await.unwrap());
        }
        drop(caller);
        assert!(exchange.rest().await.is_empty());
    }
    let text = "ended before the answer was complete: the caller left, or the server stopped";
    for entry in calls.logged(2).await {
        assert_eq!((entry.0.as_str(), entry.2.as_str()), ("failed", text));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_while_it_waits_for_a_retry_is_not_tried_again() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let retries = [("retries", "5")];
    let caller = calls.dial(Method::GET, &upstream, &retries, "").await;
    let later = "HTTP/1.1 503 Busy\r\nretry-after: 300\r\ncontent-length: 0\r\n\r\n";
    upstream.answer(later).await;
    drop(caller);
    let entry = calls.logged(1).await.remove(0);
    assert_eq!(
        entry.2,
        "ended before the API answered: the caller left, or the server stopped"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_while_it_sends_ends_the_call_at_the_api() {
    const SIZE: usize = 4 * 1024 * 1024;
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let length = [("content-length", SIZE.to_string())];
    let length = length
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let half = "x".repeat(SIZE / 2);
    let upload = calls.dial(Method::PUT, &upstream, &length, &half);
    let (caller, mut exchange) = tokio::join!(upload, async {
        let mut exchange = upstream.accept().await;
        assert_eq!(exchange.read(SIZE / 2).await.len(), SIZE / 2);
        exchange
    });
    drop(caller);
    assert!(exchange.rest().await.is_empty());
    assert_eq!(calls.logged(1).await[0].0, "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_refuses_an_upload_early_is_heard() {
    const SIZE: usize = 64 * 1024 * 1024;
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let length = [("content-length", SIZE.to_string())];
    let length = length
        .each_ref()
        .map(|(name, value)| (*name, value.as_str()));
    let begun = "x".repeat(2 * 1024 * 1024);
    let upload = calls.dial(Method::POST, &upstream, &length, &begun);
    let (mut caller, mut exchange) = tokio::join!(upload, upstream.accept());
    let refusal = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";
    exchange.send(refusal).await;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nno") {
        answer.push(caller.read_u8().await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 413 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn head_and_options_go_through_and_preflights_do_not() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let request = calls.request(
        Method::OPTIONS,
        &upstream,
        &[("origin", "https://app.example")],
    );
    let call = calls.send(request, "");
    let answer = "HTTP/1.1 204 No Content\r\nallow: GET, HEAD\r\ncontent-length: 0\r\n\r\n";
    let seen = upstream.answer(answer).await.head;
    assert!(seen.starts_with("options /x http/1.1\r\n"), "{seen}");
    let answer = call.await.unwrap();
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(answer.headers()["allow"], "GET, HEAD");

    for length in ["content-length: 1000\r\n", "transfer-encoding: chunked\r\n"] {
        let call = calls.send(calls.request(Method::HEAD, &upstream, &[]), "");
        let seen = upstream
            .answer(format!("HTTP/1.1 200 OK\r\n{length}\r\n"))
            .await
            .head;
        assert!(seen.starts_with("head /x http/1.1\r\n"), "{seen}");
        let answer = call.await.unwrap();
        let announced = answer.headers().get("content-length").cloned();
        assert_eq!(announced.is_some(), length.starts_with("content"));
        assert!(answer.into_body().frame().await.is_none());
    }

    // A browser asks this server whether it may call it, with no credentials.
    let preflight = http::Request::options(calls.app.url("/proxy/x"))
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "provider-config-key");
    let reply = calls.app.send(preflight.body("".into()).unwrap()).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert!(reply.header("access-control-allow-origin").is_some());
    let logged = calls.logged(3).await;
    assert_eq!(logged.len(), 3);
    assert!(
        logged.iter().all(|entry| entry.0 == "success"),
        "{logged:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_with_files_arrives_byte_for_byte() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let kind = "multipart/form-data; boundary=\"b 1\"";
    let mut form =
        b"--b 1\r\nContent-Disposition: form-data; name=\"f\"; filename=\"\xc3\xbc.bin\"\r\n\
                     Content-Type: application/octet-stream\r\n\r\n"
            .to_vec();
    form.extend(0..=u8::MAX);
    form.extend(b"\r\n--b 1--\r\n");
    let request = calls.request(Method::POST, &upstream, &[("content-type", kind)]);
    let call = calls.send(request, form.clone());
    let mut exchange = upstream.accept().await;
    let announced = format!("\r\ncontent-type: {kind}\r\n");
    assert!(exchange.head.contains(&announced), "{}", exchange.head);
    assert!(exchange.read(form.len()).await == form);
    exchange
        .send("HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n")
        .await;
    assert_eq!(call.await.unwrap().status(), StatusCode::CREATED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_waits_for_100_is_told_to_go_on() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let more = [("content-length", "4"), ("expect", "100-continue")];
    let mut caller = calls.dial(Method::POST, &upstream, &more, "").await;
    let mut said = Vec::new();
    while !said.ends_with(b"\r\n\r\n") {
        said.push(caller.read_u8().await.unwrap());
    }
    assert!(said.starts_with(b"HTTP/1.1 100 "));
    caller.write_all(b"body").await.unwrap();
    let mut exchange = upstream.accept().await;
    assert_eq!(exchange.read(4).await, b"body");
    assert!(!exchange.head.contains("\r\nexpect:"), "{}", exchange.head);
}
