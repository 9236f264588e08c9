//! Each trick of the table is parsed, checked by the policy, really sent, and
//! put into a redirect.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Uri};
use linkspan_net::{
    AddressPolicy, Blocked, Body, Client, Error, Lookup, LookupFuture, RedirectDenial, Redirects,
    Settings,
};
use tokio::net::TcpListener;
use url::Url;

use crate::server::{Reply, Server, ok, redirect};
use crate::trick_table::Expected::{self, Allowed, Blocked as No, BlockedResolved, Invalid};
use crate::trick_table::tricks;
use crate::{Answers, SOON};

/// What parsing and the policy say, before anything is sent.
fn judged(policy: &AddressPolicy, text: &str) -> Expected {
    let Ok(url) = Url::parse(text) else {
        return Invalid;
    };
    let Some(host) = url.host() else {
        return Invalid;
    };
    if !matches!(url.scheme(), "http" | "https") {
        return Invalid;
    }
    match (policy.check_host(&host), &host) {
        (Err(_), _) => No,
        (Ok(()), url::Host::Domain(_)) if url.username().is_empty() => BlockedResolved,
        (Ok(()), url::Host::Domain(_)) => Invalid,
        (Ok(()), _) => Allowed,
    }
}

#[test]
fn every_trick_is_judged_as_expected() {
    assert!(tricks().count() >= 60);
    let policy = AddressPolicy::strict();
    let wrong: Vec<_> = tricks()
        .map(|(text, expected, why)| (text, expected, why, judged(&policy, text)))
        .filter(|(_, expected, _, judged)| expected != judged)
        .collect();
    assert!(
        wrong.is_empty(),
        "(trick, expected, why, judged): {wrong:#?}"
    );
}

#[tokio::test]
async fn no_trick_reaches_a_server_on_loopback() {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = Client::new(Settings {
        lookup: Answers::new(&[&["127.0.0.1"]]),
        ..Settings::default()
    })
    .unwrap();
    for (text, expected, why) in tricks() {
        let Ok(mut url) = Url::parse(text) else {
            continue;
        };
        // Public ones are not called from a test.
        if expected == Allowed || url.host().is_none() {
            continue;
        }
        let _ = url.set_port(Some(canary.local_addr().unwrap().port()));
        let Ok(uri) = Uri::try_from(url.as_str()) else {
            continue;
        };
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let error = client.send(request, SOON).await.unwrap_err();
        let userinfo = url.as_str().contains('@') && !url.username().is_empty();
        match expected {
            No | BlockedResolved if !userinfo => {
                assert!(
                    matches!(error, Error::Blocked { .. }),
                    "{text} ({why}): {error:?}"
                );
            }
            _ => assert!(
                matches!(error, Error::InvalidUrl { .. }),
                "{text} ({why}): {error:?}"
            ),
        }
    }
    assert_untouched(&canary).await;
}

/// Where the redirects come from: the one name that may lead to loopback.
const START: &str = "start.example";

struct OnlyStart;

impl Lookup for OnlyStart {
    fn addresses(&self, host: &str) -> LookupFuture {
        let address = [10, 0, 0, 1];
        let address = if host == START {
            [127, 0, 0, 1]
        } else {
            address
        };
        Box::pin(std::future::ready(Ok(vec![address.into()])))
    }
}

/// What a caller may not write, an API may not redirect to either, whatever the
/// status of its redirect.
#[tokio::test]
async fn no_trick_works_as_the_location_of_a_redirect() {
    let server = Server::start(|request| {
        let status = request
            .header("x-status")
            .and_then(|text| text.parse().ok());
        match (status, request.header("x-location")) {
            (Some(status), Some(location)) if request.line().contains(" /start ") => {
                redirect(status, location)
            }
            _ => Reply::Send(ok("here")),
        }
    })
    .await;
    let client = Client::new(Settings {
        policy: AddressPolicy::strict().allow_hosts([START]).unwrap(),
        lookup: Arc::new(OnlyStart),
        ..Settings::default()
    })
    .unwrap();
    let statuses = [301, 302, 303, 307, 308].into_iter().cycle();
    for ((text, expected, why), status) in tricks().zip(statuses) {
        // Public ones are not called from a test, and a header has one line.
        if expected == Allowed || text.contains(['\n', '\r', '\t']) {
            continue;
        }
        let request = Request::get(server.url_at(START, "/start"))
            .header("x-status", status)
            .header("x-location", text.as_bytes())
            .body(Bytes::new())
            .unwrap();
        let redirects = Redirects::default();
        let sent = client.send_following(request, &redirects, SOON);
        match sent.await {
            Err(Error::RedirectDenied { reason, .. }) => {
                let blocked = matches!(reason, RedirectDenial::Blocked(_));
                let userinfo = reason == RedirectDenial::Userinfo;
                // Without a scheme it is a reference, and a good one.
                let expected = expected != Invalid || text.starts_with("//");
                assert_eq!(
                    blocked || userinfo,
                    expected || userinfo,
                    "{text} ({why}): {reason:?}"
                );
            }
            // Relative to the redirecting server, so it stays there.
            Ok(_) if text.starts_with("http:1") || text.starts_with("http:/1") => {}
            other => panic!("{status} {text} ({why}): {other:?}"),
        }
    }
}

/// A caller may build a target without the URL parser that unmasks an address.
#[tokio::test]
async fn targets_that_no_parser_has_unmasked_are_refused() {
    let canary = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = canary.local_addr().unwrap().port();
    let client = Client::new(Settings::default()).unwrap();
    for host in [
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "127.0.0.1.",
        "0",
        "localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[0:0:0:0:0:0:0:1]",
    ] {
        let uri: Uri = format!("http://{host}:{port}/").parse().unwrap();
        let request = Request::get(uri).body(Body::empty()).unwrap();
        let error = client.send(request, SOON).await.unwrap_err();
        let Error::Blocked {
            host: named,
            reason: Blocked::Range(_),
        } = &error
        else {
            panic!("{host}: {error:?}");
        };
        assert_eq!(*named, format!("{host}:{port}"));
    }
    assert_untouched(&canary).await;
}

/// Nobody else knows the canary's port, so the first connection it accepts must be ours.
async fn assert_untouched(canary: &TcpListener) {
    let address = canary.local_addr().unwrap();
    let ours = tokio::net::TcpStream::connect(address).await.unwrap();
    let (_, first) = canary.accept().await.unwrap();
    assert_eq!(first, ours.local_addr().unwrap());
}
