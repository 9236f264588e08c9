//! Calls that find too many others under way, and answers that say "later".

use http::{Method, StatusCode};
use http_body_util::BodyExt;

use crate::upstream::{Calls, Upstream, soon};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_provider_takes_its_own_places_and_no_others() {
    let settings = [
        ("LINKSPAN_PROXY_CALLS_PER_PROVIDER", "2"),
        ("LINKSPAN_PROXY_WAITING_PER_PROVIDER", "1"),
        ("LINKSPAN_PROXY_WAIT_MS", "60000"),
    ];
    let calls = Calls::start(&settings, &[("slow", ""), ("fast", "")]).await;
    let (stalled, quick) = (Upstream::start().await, Upstream::start().await);
    // One has no head yet, the other no body: both take a place.
    let first = calls.get(&stalled, &[]);
    let mut first_exchange = stalled.accept().await;
    let second = calls.get(&stalled, &[]);
    let mut second_exchange = stalled.accept().await;
    second_exchange
        .send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        .await;
    let mut second = soon(second).await.unwrap();

    // Of two more one waits and one is refused: whichever comes later.
    let (one, other) = (calls.get(&stalled, &[]), calls.get(&stalled, &[]));
    let (refused, waits) = soon(futures_util::future::select(one, other))
        .await
        .factor_first();
    let refused = refused.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"]["code"], "upstream_saturated");

    for _ in 0..3 {
        let request = calls.request_of("fast", Method::GET, &quick, &[]);
        let call = calls.send(request, "");
        quick.answer(OK).await;
        assert_eq!(soon(call).await.unwrap().status(), StatusCode::OK);
    }

    // The end of an answer lets the next call in.
    second_exchange.send("ok").await;
    while let Some(frame) = soon(second.body_mut().frame()).await {
        frame.unwrap();
    }
    drop(second_exchange);
    stalled.answer(OK).await;
    assert_eq!(soon(waits).await.unwrap().status(), StatusCode::OK);
    // And so does a caller that goes.
    first.abort();
    assert!(first_exchange.rest().await.is_empty());
    let call = calls.get(&stalled, &[]);
    stalled.answer(OK).await;
    assert_eq!(soon(call).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_longer_than_the_setting() {
    let settings = [
        ("LINKSPAN_PROXY_CALLS_PER_PROVIDER", "1"),
        ("LINKSPAN_PROXY_WAIT_MS", "50"),
    ];
    let (calls, upstream) = (Calls::plain(&settings).await, Upstream::start().await);
    let _first = calls.get(&upstream, &[]);
    let _exchange = upstream.accept().await;
    let second = soon(calls.get(&upstream, &[])).await.unwrap();
    assert_eq!(second.status(), StatusCode::SERVICE_UNAVAILABLE);
    let (status, code, _) = calls.logged(1).await.remove(0);
    assert_eq!(
        (status.as_str(), code.as_str()),
        ("failed", Some("upstream_saturated"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_retry_takes_no_place() {
    let settings = [
        ("LINKSPAN_PROXY_CALLS_PER_PROVIDER", "1"),
        ("LINKSPAN_PROXY_WAITING_PER_PROVIDER", "0"),
    ];
    let (calls, upstream) = (Calls::plain(&settings).await, Upstream::start().await);
    let _waits = calls.get(&upstream, &[("retries", "1")]);
    upstream
        .answer("HTTP/1.1 503 Busy\r\nretry-after: 300\r\ncontent-length: 0\r\n\r\n")
        .await;
    // The first one's place is free as soon as its answer has been read.
    soon(async {
        loop {
            let call = calls.get(&upstream, &[]);
            tokio::pin!(call);
            tokio::select! {
                _ = upstream.answer(OK) => {
                    assert_eq!(call.await.unwrap().status(), StatusCode::OK);
                    break;
                }
                answer = &mut call => {
                    assert_eq!(answer.unwrap().status(), StatusCode::SERVICE_UNAVAILABLE);
                }
            }
        }
    })
    .await;
}

const IN_BODY: &str = "  retry:\n    in_body:\n      path: error.message\n      \
                       value: /again in (.+) seconds/\n      strategy: after\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_body_says_when_to_try_again_and_arrives_whole_if_nobody_does() {
    let calls = Calls::start(&[], &[("telling", IN_BODY)]).await;
    let upstream = Upstream::start().await;
    let later = |seconds: &str, padding: usize| {
        let padding = "x".repeat(padding);
        let body = format!(
            r#"{{"error":{{"message":"again in {seconds} seconds"}},"padding":"{padding}"}}"#
        );
        let head = format!(
            "HTTP/1.1 429 Later\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (format!("{head}{body}"), body)
    };
    let call = calls.get(&upstream, &[("retries", "2")]);
    upstream.answer(later("0", 0).0).await;
    upstream.answer(later("0.001", 10_000).0).await;
    upstream.answer(OK).await;
    assert_eq!(soon(call).await.unwrap().status(), StatusCode::OK);

    // Nobody waits so long: the answer is the caller's, with its body.
    for padding in [0, 60_000] {
        let call = calls.get(&upstream, &[("retries", "2")]);
        let (answer, body) = later("900", padding);
        upstream.answer(answer).await;
        let answer = soon(call).await.unwrap();
        assert_eq!(answer.status(), StatusCode::TOO_MANY_REQUESTS);
        let arrived = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(arrived == body.as_bytes(), "{padding}");
    }
}

const MERGED: &str = "  body: { key: k1, org: '${connectionConfig.org}' }
connection_config:\n  org: { type: string, title: O, optional: true }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_template_adds_to_json_and_takes_it_whole() {
    const LIMIT: usize = 4 * 1024 * 1024;
    let limit = LIMIT.to_string();
    let settings = [("LINKSPAN_SERVER_REQUEST_BODY_LIMIT", limit.as_str())];
    let calls = Calls::start(&settings, &[("merging", MERGED)]).await;
    let upstream = Upstream::start().await;
    // Larger than what is held, so that it comes as a stream.
    let large = "x".repeat(2 * 1024 * 1024);
    for (method, given, expected) in [
        (Method::POST, String::new(), r#"{"key":"k1"}"#.to_owned()),
        (
            Method::PUT,
            r#"{"a": 1}"#.to_owned(),
            r#"{"key":"k1","a": 1}"#.to_owned(),
        ),
        (Method::DELETE, "[1]".to_owned(), "[1]".to_owned()),
        (
            Method::PATCH,
            format!(r#"{{"large":"{large}"}}"#),
            format!(r#"{{"key":"k1","large":"{large}"}}"#),
        ),
    ] {
        let call = calls.send(calls.request(method.clone(), &upstream, &[]), given);
        let mut exchange = upstream.accept().await;
        let length = format!("\r\ncontent-length: {}\r\n", expected.len());
        assert!(
            exchange.head.contains(&length),
            "{method}: {}",
            exchange.head
        );
        let is_json = exchange
            .head
            .contains("\r\ncontent-type: application/json\r\n");
        assert_eq!(is_json, method != Method::DELETE);
        assert!(
            exchange.read(expected.len()).await == expected.as_bytes(),
            "{method}"
        );
        exchange.send(OK).await;
        assert_eq!(soon(call).await.unwrap().status(), StatusCode::OK);
    }
    let call = calls.get(&upstream, &[]);
    let seen = upstream.answer(OK).await.head;
    assert!(!seen.contains("content-"), "GET has no body: {seen}");
    call.await.unwrap();

    // A body with credentials in it does not follow a redirect.
    let call = calls.send(calls.request(Method::POST, &upstream, &[]), "{}");
    let away = "HTTP/1.1 307 Moved\r\nlocation: http://localhost:1/\r\ncontent-length: 0\r\n\r\n";
    upstream.answer(away).await;
    assert_eq!(
        soon(call).await.unwrap().status(),
        StatusCode::TEMPORARY_REDIRECT
    );

    // Where nothing joins it, it does, and what is no JSON streams, whatever its size.
    let call = calls.get(&upstream, &[]);
    let within = "HTTP/1.1 302 Found\r\nlocation: /there\r\ncontent-length: 0\r\n\r\n";
    upstream.answer(within).await;
    let seen = upstream.answer(OK).await.head;
    assert!(seen.starts_with("get /there "), "{seen}");
    assert_eq!(soon(call).await.unwrap().status(), StatusCode::OK);
    let length = (2 * LIMIT).to_string();
    let upload = [
        ("content-type", "application/octet-stream"),
        ("content-length", length.as_str()),
    ];
    let caller = calls
        .dial(Method::POST, &upstream, &upload, "the beginning")
        .await;
    let mut exchange = upstream.accept().await;
    assert_eq!(exchange.read(13).await, b"the beginning");
    drop((caller, exchange));

    let length = (LIMIT + 1).to_string();
    let too_large = [("content-length", length.as_str())];
    let mut caller = calls.dial(Method::POST, &upstream, &too_large, "").await;
    let mut said = [0; 13];
    soon(tokio::io::AsyncReadExt::read_exact(&mut caller, &mut said))
        .await
        .unwrap();
    assert_eq!(&said, b"HTTP/1.1 413 ");
    let (status, code, _) = calls.logged(9).await.pop().unwrap();
    assert_eq!(
        (status.as_str(), code.as_str()),
        ("failed", Some("payload_too_large"))
    );
}
