//! What the client does when the server, or the way to it, fails.

use std::time::Duration;

use futures_util::stream;
use linkspan_client::{Bytes, Client, Error, Method, RetryPolicy, StatusCode};

use crate::misbehaving::{Step, server};

const LIST: &str = r#"{"data":[]}"#;
const OK: Step = Step::Answer(200, "", LIST);

fn client(url: &str) -> Client {
    let retries = RetryPolicy::default().first_wait(Duration::from_millis(1));
    let builder = Client::builder(url, "a key").retries(retries);
    builder
        .timeout(Duration::from_secs(5))
        .user_agent("tests/1")
        .build()
        .unwrap()
}

#[tokio::test]
async fn an_idempotent_call_is_made_again_until_it_is_answered() {
    let wait = "retry-after: 0\r\n";
    for failing in [
        vec![Step::Answer(502, "", "<html>"), Step::Answer(504, "", "")],
        vec![Step::Answer(503, wait, ""), Step::Answer(429, wait, "")],
        vec![Step::Close, Step::Break],
    ] {
        let steps = failing.into_iter().chain([OK]).collect();
        let (url, seen) = server(steps).await;
        assert!(client(&url).integrations().list().await.unwrap().is_empty());
        let seen = seen.lock().unwrap();
        assert_eq!(seen.len(), 3);
        assert!(seen.iter().all(|request| request == &seen[0]));
        assert!(seen[0].contains("authorization: Bearer a key\r\n"));
        assert!(seen[0].contains("user-agent: tests/1\r\n"));
    }
}

#[tokio::test]
async fn attempts_end() {
    let steps = (0..3)
        .map(|_| Step::Answer(503, "x-request-id: r1\r\n", "down"))
        .collect();
    let (url, seen) = server(steps).await;
    let error = client(&url).integrations().list().await.unwrap_err();
    assert_eq!(seen.lock().unwrap().len(), 3);
    let Error::Api {
        status,
        code,
        request_id,
        ..
    } = error
    else {
        panic!("{error:?}")
    };
    assert_eq!(
        (status, code.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "")
    );
    assert_eq!(request_id.as_deref(), Some("r1"));
}

#[tokio::test]
async fn what_may_have_been_done_is_not_done_again() {
    for step in [Step::Close, Step::Break, Step::Answer(503, "", "")] {
        let (url, seen) = server(vec![step, OK]).await;
        let created = client(&url).integrations().create("k", "demo").send().await;
        assert!(
            matches!(created, Err(Error::Transport(_) | Error::Api { .. })),
            "{created:?}"
        );
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
    for status in [400, 401, 404, 500] {
        let (url, seen) = server(vec![Step::Answer(status, "", ""), OK]).await;
        assert!(client(&url).integrations().list().await.is_err());
        assert_eq!(seen.lock().unwrap().len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_limit_holds_for_every_method_and_its_wait_is_kept_within_reason() {
    let session =
        r#"{"data":{"token":"t","connect_link":"l","expires_at":"2030-01-01T00:00:00Z"}}"#;
    let steps = vec![
        Step::Answer(429, "retry-after: 0\r\n", ""),
        Step::Answer(201, "", session),
    ];
    let (url, seen) = server(steps).await;
    client(&url)
        .connect_sessions()
        .create()
        .tag("a", "b")
        .send()
        .await
        .unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2);
    let (url, seen) = server(vec![Step::Answer(429, "retry-after: 3600\r\n", ""), OK]).await;
    let error = client(&url).integrations().list().await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::TOO_MANY_REQUESTS));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn time_runs_out() {
    let (url, seen) = server(vec![Step::Hang, Step::Hang]).await;
    let retries = RetryPolicy::default()
        .attempts(2)
        .first_wait(Duration::ZERO);
    let builder = Client::builder(&url, "a key").retries(retries);
    let linkspan = builder.timeout(Duration::from_millis(300)).build().unwrap();
    assert!(matches!(
        linkspan.integrations().list().await,
        Err(Error::Timeout)
    ));
    assert_eq!(seen.lock().unwrap().len(), 2);
    let (url, seen) = server(vec![Step::Hang, OK]).await;
    let call = client(&url).connection("a", "b").proxy(Method::GET, "/x");
    let error = call
        .timeout(Duration::from_millis(300))
        .send()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Timeout));
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn where_nobody_listens_even_a_creation_is_tried_again() {
    let (url, _) = server(vec![]).await;
    let retries = RetryPolicy::default().first_wait(Duration::from_millis(40));
    let linkspan = Client::builder(&url, "a key")
        .retries(retries)
        .build()
        .unwrap();
    let began = std::time::Instant::now();
    let error = linkspan
        .integrations()
        .create("k", "demo")
        .send()
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert!(
        began.elapsed() >= Duration::from_millis(60),
        "two waits of 20 and 40 ms at least"
    );
}

#[tokio::test]
async fn a_proxied_answer_stands_whatever_it_is() {
    for status in [302, 429, 503] {
        let (url, seen) = server(vec![
            Step::Answer(status, "location: /elsewhere\r\n", ""),
            OK,
        ])
        .await;
        let call = client(&url).connection("a", "b").proxy(Method::GET, "/x");
        assert_eq!(call.send().await.unwrap().status().as_u16(), status);
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
    let (url, seen) = server(vec![Step::Close, OK]).await;
    let call = client(&url)
        .connection("a", "b")
        .proxy(Method::GET, "/x")
        .header("X-One", "1");
    assert_eq!(call.send().await.unwrap().status(), StatusCode::OK);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen[1].contains("nango-proxy-x-one: 1\r\n") && seen[1].starts_with("GET /proxy/x "));
}

#[tokio::test]
async fn an_answer_that_is_not_the_api_s_is_an_error() {
    let (url, _) = server(vec![Step::Answer(200, "", "<html>")]).await;
    assert!(matches!(
        client(&url).integrations().list().await,
        Err(Error::Decode(_))
    ));
}

#[tokio::test]
async fn a_body_that_streams_is_sent_once() {
    let (url, seen) = server(vec![Step::Close, OK]).await;
    let body = stream::iter([Ok::<_, std::io::Error>(Bytes::from("once"))]);
    let call = client(&url)
        .connection("a", "b")
        .proxy(Method::PUT, "/x")
        .stream(body);
    let error = call.send().await.unwrap_err();
    assert!(matches!(error, Error::Transport(_)), "{error:?}");
    assert_eq!(seen.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_was_made_may_not_be_made_twice() {
    for step in [Step::Close, Step::Answer(503, "", "")] {
        let (url, seen) = server(vec![step, OK]).await;
        assert!(client(&url).rotate_webhook_signing_key().await.is_err());
        assert_eq!(seen.lock().unwrap().len(), 1);
    }
    let (url, seen) = server(vec![Step::Close, Step::Answer(204, "", "")]).await;
    client(&url).environments().delete(7).await.unwrap();
    assert_eq!(seen.lock().unwrap().len(), 2, "a deletion can be");
}
