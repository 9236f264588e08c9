//! APIs that break their answers off, or send what is not HTTP.

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use http_body_util::BodyExt;
use linkspan_net::Incoming;
use serde_json::Value;

use crate::upstream::{Calls, Upstream, soon};

/// What arrives of a body, and whether it is all of it.
async fn arrives(answer: Response<Incoming>) -> (Vec<u8>, bool) {
    let (mut bytes, mut body) = (Vec::new(), answer.into_body());
    while let Some(frame) = soon(body.frame()).await {
        match frame {
            Ok(frame) => bytes.extend(frame.into_data().unwrap()),
            Err(_) => return (bytes, false),
        }
    }
    (bytes, true)
}

async fn code(answer: Response<Incoming>) -> (StatusCode, String) {
    let status = answer.status();
    let (body, _) = arrives(answer).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_stalls_is_broken_off() {
    let idle = [("LINKSPAN_PROXY_IDLE_TIMEOUT_MS", "200")];
    let (calls, upstream) = (Calls::plain(&idle).await, Upstream::start().await);
    for head in [
        "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhalf",
    ] {
        let call = calls.get(&upstream, &[]);
        let mut exchange = upstream.accept().await;
        exchange.send(head).await;
        let arrived = arrives(call.await.unwrap()).await;
        assert_eq!(arrived, (b"half".to_vec(), false), "{head}");
        assert!(exchange.rest().await.is_empty(), "the API is let go");
    }
    let text = "the API sent nothing for 200 ms in the middle of its answer";
    for entry in calls.logged(3).await {
        assert_eq!(
            entry,
            ("failed".into(), "upstream_timeout".into(), text.into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_ends_early_or_in_nonsense_does_not_look_complete() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let answers = [
        "content-length: 100\r\n\r\nhalf",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n9\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nno number\r\n",
        "transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\nffffffffffffffffff\r\n",
    ];
    for rest in answers {
        let call = calls.get(&upstream, &[]);
        upstream.answer(format!("HTTP/1.1 200 OK\r\n{rest}")).await;
        let arrived = arrives(call.await.unwrap()).await;
        assert_eq!(arrived, (b"half".to_vec(), false), "{rest}");
    }
    for (status, code, text) in calls.logged(answers.len()).await {
        assert_eq!(
            (status.as_str(), code.as_str()),
            ("failed", Some("upstream_unreachable"))
        );
        assert!(text.starts_with("the API's answer broke off: "), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_an_answer_is_no_part_of_it_or_of_the_next() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    for smuggled in ["more", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"] {
        let call = calls.get(&upstream, &[]);
        let mut exchange = upstream.accept().await;
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood";
        exchange.send(format!("{answer}{smuggled}")).await;
        let answer = call.await.unwrap();
        assert_eq!(answer.headers()["content-length"], "4");
        assert_eq!(arrives(answer).await, (b"good".to_vec(), true));
        assert!(
            exchange.rest().await.is_empty(),
            "the connection is not used again"
        );

        let call = calls.get(&upstream, &[]);
        upstream
            .answer("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext")
            .await;
        assert_eq!(arrives(call.await.unwrap()).await, (b"next".to_vec(), true));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_contradict_each_other_are_not_passed_on() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let call = calls.get(&upstream, &[]);
    upstream
        .answer("HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 6\r\n\r\nlength")
        .await;
    let failed = (StatusCode::BAD_GATEWAY, "upstream_unreachable".to_owned());
    assert_eq!(code(call.await.unwrap()).await, failed);

    let call = calls.get(&upstream, &[]);
    upstream
        .answer("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n6\r\nchunks\r\n0\r\n\r\n")
        .await;
    let answer = call.await.unwrap();
    assert!(!answer.headers().contains_key("content-length"));
    assert_eq!(arrives(answer).await, (b"chunks".to_vec(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_in_time_is_a_timeout() {
    let timeout = [("LINKSPAN_PROXY_TIMEOUT_MS", "200")];
    let (calls, upstream) = (Calls::plain(&timeout).await, Upstream::start().await);
    for begun in ["", "HTTP/1.1 200 O", "HTTP/1.1 200 OK\r\nx-one: 1\r\nx-t"] {
        let call = calls.get(&upstream, &[]);
        let mut exchange = upstream.accept().await;
        // Byte by byte: what comes in time does not buy more of it.
        for byte in begun.bytes() {
            exchange.send([byte]).await;
        }
        let expected = (StatusCode::GATEWAY_TIMEOUT, "upstream_timeout".to_owned());
        assert_eq!(code(call.await.unwrap()).await, expected, "{begun:?}");
        assert!(exchange.rest().await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_not_http_are_refused() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let long = format!(
        "HTTP/1.1 200 OK\r\nx-long: {}\r\n\r\n",
        "x".repeat(1_000_000)
    );
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x-many: 1\r\n".repeat(1_000));
    for head in [
        "\0\x01\x02\x03\r\n\r\n",
        "HTTP/1.1 2x0 OK\r\n\r\n",
        "HTTP/1.1 99999 OK\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nx: a\0b\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
        &long,
        &many,
    ] {
        let call = calls.get(&upstream, &[]);
        let mut exchange = upstream.accept().await;
        exchange.send_if_open(head).await;
        let shown = &head[..head.len().min(60)];
        let failed = (StatusCode::BAD_GATEWAY, "upstream_unreachable".to_owned());
        assert_eq!(code(call.await.unwrap()).await, failed, "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn interim_answers_are_not_the_answer() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let interim = [
        "HTTP/1.1 100 Continue\r\n\r\n",
        "HTTP/1.1 102 Processing\r\n\r\n",
        "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\n",
        "HTTP/1.1 199 Odd\r\n\r\n",
    ]
    .concat();
    let call = calls.get(&upstream, &[]);
    let answer = "HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nfinal";
    upstream.answer(format!("{interim}{answer}")).await;
    let answer = call.await.unwrap();
    assert_eq!(answer.status(), StatusCode::CREATED);
    assert!(!answer.headers().contains_key("link"));
    assert_eq!(arrives(answer).await, (b"final".to_vec(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn trailers_end_at_the_proxy() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let call = calls.get(&upstream, &[]);
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntrailer: x-sum\r\n\r\n";
    let body = "5\r\nwhole\r\n0\r\nx-sum: 7\r\nset-cookie: a=1\r\n\r\n";
    upstream.answer(format!("{head}{body}")).await;
    let answer = call.await.unwrap();
    assert!(!answer.headers().contains_key("trailer"));
    let body = answer.into_body().collect().await.unwrap();
    assert!(body.trailers().is_none());
    assert_eq!(body.to_bytes(), "whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn circles_of_redirects_have_a_code_of_their_own() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let call = calls.get(&upstream, &[]);
    for _ in 0..6 {
        upstream
            .answer("HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            .await;
    }
    let expected = (
        StatusCode::BAD_GATEWAY,
        "proxy_too_many_redirects".to_owned(),
    );
    assert_eq!(code(call.await.unwrap()).await, expected);
}

/// `"decompressed "` a thousand times.
const GZIP: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xed\xc7\x31\x0d\x00\x20\x10\x04\x30\x2b\x78\xe3\x7e\x24\x10\xde\x7f\x82\x0a\xb6\x76\x6b\x6a\xee\x75\x6e\x75\x57\x46\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\xfe\xe4\x01\x21\x69\x86\xf8\xc8\x32\x00\x00";
const DEFLATE: &[u8] = b"\x78\x9c\xed\xc7\x31\x0d\x00\x20\x10\x04\x30\x2b\x78\xe3\x7e\x24\x10\xde\x7f\x82\x0a\xb6\x76\x6b\x6a\xee\x75\x6e\x75\x57\x46\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\xfe\xe4\x01\x83\x0a\xfe\x4e";
const BROTLI: &[u8] = b"\x1b\xc7\x32\xf8\x8d\x94\x6e\xde\xb4\x24\x2b\x7b\xab\xb1\xb6\x6a\xe5\xb0\x6a\x60\x1e\xf2\x9d\x75\x2a\x00\x00";

fn compressed(coding: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: {coding}\r\ncontent-length: {length}\r\nvary: *\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_decompressed_for_who_asks_and_for_nobody_else() {
    let providers = [("plain", ""), ("unpacked", "  decompress: true\n")];
    let (calls, upstream) = (Calls::start(&[], &providers).await, Upstream::start().await);
    let plain = "decompressed ".repeat(1000).into_bytes();
    let asked = [("decompress", "true")];
    let twice = [GZIP, GZIP].concat();
    for (provider, more, coding, sent, expected) in [
        ("plain", &asked[..], "gzip", GZIP, &plain[..]),
        ("plain", &asked, "X-GZip", GZIP, &plain),
        ("plain", &asked, "gzip", &twice, &plain.repeat(2)),
        ("plain", &asked, "deflate", DEFLATE, &plain),
        ("plain", &asked, "br", BROTLI, &plain),
        ("unpacked", &[], "gzip", GZIP, &plain),
        ("plain", &[], "gzip", GZIP, GZIP),
        ("plain", &asked, "zstd", GZIP, GZIP),
        ("plain", &asked, "gzip, br", GZIP, GZIP),
    ] {
        let request = calls.request_of(provider, Method::GET, &upstream, more);
        let call = calls.send(request, Bytes::new());
        let exchange = upstream.answer(compressed(coding, sent)).await;
        let wants_plain = exchange.head.contains("\r\naccept-encoding: identity\r\n");
        assert_eq!(wants_plain, provider == "unpacked" || !more.is_empty());
        let answer = call.await.unwrap();
        let is_passed_on = sent == expected;
        for header in ["content-encoding", "content-length"] {
            let has = answer.headers().contains_key(header);
            assert_eq!(has, is_passed_on, "{coding}: {header}");
        }
        assert!(answer.headers().contains_key("vary"));
        let (bytes, is_complete) = arrives(answer).await;
        assert!(bytes == expected && is_complete, "{coding}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decompressed_does_not_look_complete() {
    let (calls, upstream) = (Calls::plain(&[]).await, Upstream::start().await);
    let asked = [("decompress", "true")];
    let broken = [b"no gzip at all", &GZIP[..GZIP.len() / 2]];
    for sent in broken {
        let call = calls.get(&upstream, &asked);
        upstream.answer(compressed("gzip", sent)).await;
        assert!(!arrives(call.await.unwrap()).await.1);
    }
    for (status, code, text) in calls.logged(broken.len()).await {
        assert_eq!(
            (status.as_str(), code.as_str()),
            ("failed", Some("upstream_unreachable"))
        );
        assert!(
            text.starts_with("the API's answer cannot be decompressed: "),
            "{text}"
        );
    }
    // The head of an answer without a body stays as it is.
    let call = calls.send(calls.request(Method::HEAD, &upstream, &asked), "");
    upstream.answer(compressed("gzip", b"")).await;
    assert_eq!(call.await.unwrap().headers()["content-encoding"], "gzip");
}
