//! Names: partly blocked answers, answers that change, lists by name.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use linkspan_net::{AddressPolicy, Blocked, Error, Lookup, LookupFuture, Range};

use crate::server::{Reply, Server, ok};
use crate::{Answers, SOON, client_with, get, text};

async fn server() -> Server {
    Server::start(|_| Reply::SendAndClose(ok("here"))).await
}

#[tokio::test]
async fn blocked_addresses_are_dropped_and_the_rest_used() {
    let server = server().await;
    let answers = Answers::new(&[&[
        "10.0.0.1",
        "169.254.169.254",
        "127.0.0.1",
        "::ffff:10.0.0.1",
    ]]);
    let client = client_with(|settings| settings.lookup = answers.clone());
    let request = get(&server.url_at("mixed.example", "/"));
    let response = client.send(request.map(Into::into), SOON).await.unwrap();
    assert_eq!(text(response).await, "here");
    assert_eq!(answers.asked(), 1);
}

#[tokio::test]
async fn a_name_with_only_blocked_addresses_is_blocked() {
    let answers = Answers::new(&[&["10.0.0.1", "169.254.169.254"]]);
    let client = client_with(|settings| settings.lookup = answers);
    let request = get("http://inside.example:8080/secret?token=1");
    let error = client
        .send(request.map(Into::into), SOON)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "inside.example:8080 may not be called: private addresses may not be called"
    );
    assert!(matches!(
        error,
        Error::Blocked {
            reason: Blocked::Range(Range::Private),
            ..
        }
    ));
    assert!(!error.is_retryable());
}

/// Rebinding: the answer after the checked one points into the network.
#[tokio::test]
async fn the_connection_goes_to_the_address_that_was_checked() {
    let server = server().await;
    let answers = Answers::new(&[&["127.0.0.1"], &["10.0.0.1"]]);
    let client = client_with(|settings| settings.lookup = answers.clone());
    let url = server.url_at("rebinding.example", "/");

    let response = client.send(get(&url).map(Into::into), SOON).await.unwrap();
    assert_eq!(text(response).await, "here");
    assert_eq!(
        answers.asked(),
        1,
        "one answer serves the check and the connection"
    );

    server.client_closed().await;
    let error = client
        .send(get(&url).map(Into::into), SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Blocked { .. }), "{error:?}");
    assert_eq!(answers.asked(), 2);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_allowed_name_opens_private_addresses_but_not_metadata() {
    let server = server().await;
    let policy = || {
        AddressPolicy::strict()
            .allow_hosts(["inside.example"])
            .unwrap()
    };
    let loopback = client_with(|settings| {
        settings.policy = policy();
        settings.lookup = Answers::new(&[&["127.0.0.1"]]);
    });
    let url = server.url_at("Inside.example", "/");
    let response = loopback
        .send(get(&url).map(Into::into), SOON)
        .await
        .unwrap();
    assert_eq!(text(response).await, "here");

    let other = get(&server.url_at("other.example", "/"));
    let error = loopback
        .send(other.map(Into::into), SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Blocked { .. }), "{error:?}");

    for address in ["169.254.169.254", "169.254.1.1"] {
        let client = client_with(|settings| {
            settings.policy = policy();
            settings.lookup = Answers::new(&[&[address]]);
        });
        let error = client
            .send(get(&url).map(Into::into), SOON)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Blocked { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_denied_name_is_not_even_resolved() {
    let answers = Answers::new(&[&["127.0.0.1"]]);
    let client = client_with(|settings| {
        settings.policy = crate::loopback_policy()
            .deny_hosts(["*.bad.example"])
            .unwrap();
        settings.lookup = answers.clone();
    });
    let request = get("http://A.BAD.example./");
    let error = client
        .send(request.map(Into::into), SOON)
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            Error::Blocked {
                reason: Blocked::DeniedHost,
                ..
            }
        ),
        "{error:?}"
    );
    assert_eq!(answers.asked(), 0);
}

struct Failing(&'static str);

impl Lookup for Failing {
    fn addresses(&self, _: &str) -> LookupFuture {
        Box::pin(std::future::ready(Err(io::Error::other(self.0))))
    }
}

#[tokio::test]
async fn resolver_failures_have_nodes_names() {
    let code = async |text| {
        let client = client_with(|settings| settings.lookup = Arc::new(Failing(text)));
        let request = get("http://nowhere.example/?code=secret");
        let error = client
            .send(request.map(Into::into), SOON)
            .await
            .unwrap_err();
        assert!(!error.to_string().contains("secret"));
        (error.network_code(), error.is_retryable())
    };
    assert_eq!(
        code("failed to lookup address information: Temporary failure in name resolution").await,
        (Some("EAI_AGAIN"), true)
    );
    assert_eq!(
        code("Name or service not known").await,
        (Some("ENOTFOUND"), false)
    );
}

struct Silent;

impl Lookup for Silent {
    fn addresses(&self, _: &str) -> LookupFuture {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_silent_resolver_counts_as_connecting() {
    let client = client_with(|settings| {
        settings.lookup = Arc::new(Silent);
        settings.connect_timeout = Duration::from_millis(30);
    });
    let request = get("http://silent.example/");
    let error = client
        .send(request.map(Into::into), SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TimeoutConnect { .. }), "{error:?}");
    assert_eq!(error.network_code(), Some("ETIMEDOUT"));
}

#[tokio::test]
async fn the_systems_resolver_knows_localhost() {
    let server = server().await;
    let client = client_with(|_| {});
    let request = get(&server.url_at("localhost", "/"));
    let response = client.send(request.map(Into::into), SOON).await.unwrap();
    assert_eq!(text(response).await, "here");
}
