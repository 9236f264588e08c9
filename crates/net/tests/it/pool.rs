//! Pooled connections that the server closes.

use bytes::Bytes;
use http::{Method, Request};
use linkspan_net::{Body, Client, Error, Limits, Redirects};

use crate::server::{Reply, Server, ok};
use crate::{SOON, client, text};

async fn call(
    client: &Client,
    server: &Server,
    method: Method,
    body: Body,
) -> Result<String, Error> {
    let request = Request::builder()
        .method(method)
        .uri(server.url("/"))
        .body(body)
        .unwrap();
    Ok(text(client.send(request, SOON).await?).await)
}

#[tokio::test]
async fn connections_are_reused() {
    let server = Server::start(|_| Reply::Send(ok("again"))).await;
    let client = client();
    for _ in 0..5 {
        assert_eq!(
            call(&client, &server, Method::GET, Body::empty())
                .await
                .unwrap(),
            "again"
        );
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 5));
}

/// The server has closed while the connection was idle: no request may notice.
#[tokio::test]
async fn an_idle_connection_that_was_closed_is_not_used() {
    let server = Server::start(|_| Reply::SendAndClose(ok("new"))).await;
    let client = client();
    for round in 1..=3 {
        assert_eq!(
            call(&client, &server, Method::POST, Body::full("x"))
                .await
                .unwrap(),
            "new"
        );
        server.client_closed().await;
        assert_eq!(server.connections(), round);
    }
}

/// As above, but nothing waits for the client to notice.
#[tokio::test]
async fn a_race_with_a_closing_connection_is_not_an_error() {
    let server = Server::start(|_| Reply::SendAndClose(ok("new"))).await;
    let client = client();
    for _ in 0..200 {
        assert_eq!(
            call(&client, &server, Method::GET, Body::empty())
                .await
                .unwrap(),
            "new"
        );
    }
    assert_eq!(server.requests().len(), 200);
}

/// The worst moment: the server closes when the request has already been sent.
#[tokio::test]
async fn a_request_sent_into_a_closing_connection_is_replayed_if_it_may_be() {
    let closing = || {
        Server::start(|request| match request.nth_on_connection {
            1 => Reply::Send(ok("new")),
            _ => Reply::Close,
        })
    };
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let (server, client) = (closing().await, client());
        call(&client, &server, Method::GET, Body::empty())
            .await
            .unwrap();
        let answer = call(&client, &server, method.clone(), Body::full("x")).await;
        assert_eq!(answer.unwrap(), "new", "{method}");
        assert_eq!(server.connections(), 2);
        let bodies: Vec<_> = server
            .requests()
            .iter()
            .map(|seen| seen.body.clone())
            .collect();
        assert_eq!(bodies, ["", "x", "x"]);
    }

    // Nobody knows whether these have had an effect.
    let once = Body::stream(futures_util::stream::iter([Ok::<_, Error>(Bytes::from(
        "x",
    ))]));
    for (method, body) in [(Method::POST, Body::full("x")), (Method::PUT, once)] {
        let (server, client) = (closing().await, client());
        call(&client, &server, Method::GET, Body::empty())
            .await
            .unwrap();
        let error = call(&client, &server, method.clone(), body)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Reset { .. }), "{method}: {error:?}");
        assert_eq!(server.requests().len(), 2);
    }
}

/// A refresh token or a code that is sent twice may be revoked for it.
#[tokio::test]
async fn a_post_is_never_replayed() {
    for following in [false, true] {
        let server = Server::start(|request| match request.nth_on_connection {
            1 => Reply::Send(ok("new")),
            _ => Reply::Close,
        })
        .await;
        let client = client();
        call(&client, &server, Method::GET, Body::empty())
            .await
            .unwrap();
        let post = Request::post(server.url("/"))
            .body(Bytes::from("grant"))
            .unwrap();
        let error = if following {
            client
                .send_following(post, &Redirects::default(), SOON)
                .await
                .unwrap_err()
        } else {
            let limits = Limits {
                total: SOON.response_head,
                max_body: 100,
            };
            client.fetch(post, limits).await.unwrap_err()
        };
        assert!(matches!(error, Error::Reset { .. }), "{error:?}");
        assert_eq!(server.requests().len(), 2);
    }
}

#[tokio::test]
async fn replays_end() {
    // Answers the first request of the first connection only, and so looks like
    // a server that dies of the request.
    let server = Server::start(|request| {
        if request.header("x-first").is_some() {
            Reply::Send(ok("new"))
        } else {
            Reply::Close
        }
    })
    .await;
    let client = client();
    let first = Request::get(server.url("/"))
        .header("x-first", "1")
        .body(Body::empty())
        .unwrap();
    text(client.send(first, SOON).await.unwrap()).await;
    let error = call(&client, &server, Method::GET, Body::empty())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Reset { .. }), "{error:?}");
    assert_eq!(
        server.requests().len(),
        3,
        "once on the old connection, once on a new one"
    );
}
