//! Redirects: methods, policy, credentials.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName};
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use linkspan_net::{
    AddressPolicy, Blocked, Client, Error, Followed, Onward, Range, RedirectDenial, Redirects,
    Resigned,
};

use crate::server::{Received, Reply, Server, ok, redirect};
use crate::{Answers, SOON, client, client_with, get, text};

/// Redirects `/<status>?<location>` and answers everything else.
fn by_path(request: &Received) -> Reply {
    let target = request.line().split(' ').nth(1).unwrap_or_default();
    match target.trim_start_matches('/').split_once('?') {
        Some((status, location)) if status.len() == 3 => {
            redirect(status.parse().unwrap(), location)
        }
        _ => Reply::Send(ok("end")),
    }
}

fn named_client() -> Client {
    client_with(|settings| settings.lookup = Answers::new(&[&["127.0.0.1"]]))
}

async fn denied(client: &Client, url: &str) -> (String, RedirectDenial) {
    let redirects = Redirects::default();
    match client.send_following(get(url), &redirects, SOON).await {
        Err(Error::RedirectDenied { host, reason }) => (host, reason),
        other => panic!("{url}: {other:?}"),
    }
}

#[tokio::test]
async fn methods_and_bodies_follow_rfc_9110() {
    for (status, method, expected, with_body) in [
        (301, "POST", "GET", false),
        (302, "POST", "GET", false),
        (303, "POST", "GET", false),
        (307, "POST", "POST", true),
        (308, "POST", "POST", true),
        (301, "PUT", "PUT", true),
        (302, "DELETE", "DELETE", true),
        (303, "PUT", "GET", false),
        (308, "PATCH", "PATCH", true),
        (302, "GET", "GET", true),
    ] {
        let server = Server::start(by_path).await;
        let request = Request::builder()
            .method(method)
            .uri(server.url(&format!("/{status}?/end%23x")))
            .header("content-type", "text/plain")
            .body(Bytes::from("body"))
            .unwrap();
        let response = client()
            .send_following(request, &Redirects::default(), SOON)
            .await
            .unwrap();
        let followed = response.extensions().get::<Followed>().unwrap();
        assert_eq!(followed.url.as_str(), server.url("/end%23x"));
        assert_eq!(followed.redirects, 1);
        assert_eq!(text(response).await, "end");
        let seen = server.requests().pop().unwrap();
        assert_eq!(
            seen.line(),
            format!("{expected} /end%23x HTTP/1.1"),
            "{status} {method}"
        );
        assert_eq!(seen.body == "body", with_body, "{status} {method}");
        assert_eq!(
            seen.header("content-type").is_some(),
            with_body,
            "{status} {method}"
        );
    }
}

#[tokio::test]
async fn other_answers_are_not_followed() {
    let server = Server::start(by_path).await;
    for status in [200, 201, 300, 304, 305] {
        let url = server.url(&format!("/{status}?/end"));
        let response = client()
            .send_following(get(&url), &Redirects::default(), SOON)
            .await
            .unwrap();
        assert_eq!(response.status().as_u16(), status);
        assert!(response.extensions().get::<Followed>().is_none());
    }
    let server = Server::start(|_| {
        Reply::Send("HTTP/1.1 302 Found\r\ncontent-length: 0\r\n\r\n".to_owned())
    })
    .await;
    let bare = client()
        .send_following(get(&server.url("/")), &Redirects::default(), SOON)
        .await;
    assert_eq!(bare.unwrap().status(), StatusCode::FOUND);
}

#[tokio::test]
async fn the_cap_counts_redirects() {
    let server = Server::start(|request| {
        let left: usize = request.line()[5..6].parse().unwrap();
        match left {
            0 => Reply::Send(ok("end")),
            left => redirect(302, &format!("/{}", left - 1)),
        }
    })
    .await;
    let follow = async |path| {
        client()
            .send_following(get(&server.url(path)), &Redirects::default(), SOON)
            .await
    };
    assert_eq!(text(follow("/5").await.unwrap()).await, "end");
    let error = follow("/6").await.unwrap_err();
    assert!(
        matches!(error, Error::TooManyRedirects { max: 5 }),
        "{error:?}"
    );
    let none = Redirects {
        max: 0,
        ..Redirects::default()
    };
    let error = client()
        .send_following(get(&server.url("/1")), &none, SOON)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::TooManyRedirects { max: 0 }),
        "{error:?}"
    );
}

#[tokio::test]
async fn no_status_redirects_into_a_blocked_network() {
    let server = Server::start(by_path).await;
    for status in [301, 302, 303, 307, 308] {
        for (location, host, range) in [
            (
                "http://169.254.169.254/latest/?secret",
                "169.254.169.254",
                Range::Metadata,
            ),
            ("https://10.0.0.1:8443/", "10.0.0.1:8443", Range::Private),
            ("//0xa9fea9fe/", "169.254.169.254", Range::Metadata),
            (
                "http://[::ffff:10.0.0.1]/",
                "[::ffff:a00:1]",
                Range::Private,
            ),
        ] {
            let seen = denied(&client(), &server.url(&format!("/{status}?{location}"))).await;
            let reason = RedirectDenial::Blocked(Blocked::Range(range));
            assert_eq!(seen, (host.to_owned(), reason), "{status} {location}");
        }
    }
}

#[tokio::test]
async fn a_redirect_to_a_name_in_a_blocked_network_is_refused() {
    let server = Server::start(by_path).await;
    let client = client_with(|settings| settings.lookup = Answers::new(&[&["10.0.0.1"]]));
    let seen = denied(&client, &server.url("/302?http://inside.example/")).await;
    let reason = RedirectDenial::Blocked(Blocked::Range(Range::Private));
    assert_eq!(seen, ("inside.example".to_owned(), reason));
}

/// A first request to a blocked host is not a redirect's fault.
#[tokio::test]
async fn a_blocked_first_hop_is_blocked() {
    let client = client_with(|settings| settings.policy = AddressPolicy::strict());
    let request = get("http://127.0.0.1:9/");
    let error = client
        .send_following(request, &Redirects::default(), SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Blocked { .. }), "{error:?}");
}

#[tokio::test]
async fn only_clean_http_locations_are_followed() {
    let server = Server::start(by_path).await;
    for (location, expected) in [
        ("file:///etc/passwd", RedirectDenial::Scheme),
        ("ftp://127.0.0.1/", RedirectDenial::Scheme),
        ("javascript:alert(1)", RedirectDenial::Scheme),
        ("http://me:pw@127.0.0.1/", RedirectDenial::Userinfo),
        ("http://127.0.0.1:99999/", RedirectDenial::Location),
        ("http://[::1%25lo]/", RedirectDenial::Location),
    ] {
        let (host, reason) = denied(&client(), &server.url(&format!("/302?{location}"))).await;
        assert_eq!(reason, expected, "{location}");
        assert!(!host.contains("pw"), "{host}");
    }
}

const CREDENTIALS: [&str; 4] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
];

async fn credentials_after(
    from: &str,
    location: &str,
    server: &Server,
    forward_credentials: bool,
) -> Vec<&'static str> {
    let mut request = Request::get(format!("{from}/302?{location}")).header("x-plain", "1");
    for name in CREDENTIALS {
        request = request.header(name, "s");
    }
    let redirects = Redirects {
        forward_credentials,
        sensitive_headers: vec![HeaderName::from_static("x-api-key")],
        ..Redirects::default()
    };
    let request = request.body(Bytes::new()).unwrap();
    let response = named_client()
        .send_following(request, &redirects, SOON)
        .await
        .unwrap();
    assert_eq!(text(response).await, "end");
    let last = server.requests().pop().unwrap();
    assert_eq!(last.header("x-plain"), Some("1"));
    CREDENTIALS
        .into_iter()
        .filter(|name| last.header(name).is_some())
        .collect()
}

/// Sends a request to `from` whose signature is its path, made anew at each hop that
/// keeps credentials, unless it goes to `/unsigned`.
async fn sign_again(from: &str) -> http::Response<linkspan_net::Incoming> {
    let signed = |path: &str| {
        let value = HeaderValue::try_from(path).unwrap();
        HeaderMap::from_iter([(AUTHORIZATION, value)])
    };
    let resign = |onward: &Onward<'_>| match onward.url.path() {
        "/unsigned" => Resigned::Impossible,
        path => Resigned::Anew(signed(path)),
    };
    let mut request = get(from);
    *request.headers_mut() = signed("/first");
    let redirects = Redirects::default();
    let client = named_client();
    let sent = client.send_signed(request, &redirects, &resign, SOON);
    sent.await.unwrap()
}

#[tokio::test]
async fn a_signature_is_made_anew_wherever_credentials_go() {
    let (server, other) = (Server::start(by_path).await, Server::start(by_path).await);
    let from = server.url_at("api.site.example", "");
    assert_eq!(sign_again(&format!("{from}/307?/end")).await.status(), 200);
    let last = server.requests().pop().unwrap();
    assert_eq!(last.header("authorization"), Some("/end"));
    // What cannot be signed is not followed.
    let kept = sign_again(&format!("{from}/307?/unsigned")).await;
    assert_eq!(kept.status(), StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(kept.headers()["location"], "/unsigned");
    // Away and back again nobody is known any more.
    let back = format!("{from}/end");
    let away = other.url_at("elsewhere.example", &format!("/307?{back}"));
    let landed = sign_again(&format!("{from}/307?{away}")).await;
    assert_eq!(landed.status(), 200);
    for server in [&server, &other] {
        let last = server.requests().pop().unwrap();
        assert_eq!(last.header("authorization"), None);
    }
}

#[tokio::test]
async fn credentials_stay_with_their_origin() {
    let (server, other) = (Server::start(by_path).await, Server::start(by_path).await);
    let from = server.url_at("api.site.example", "");
    let same = server.url_at("api.site.example", "/end");
    assert_eq!(
        credentials_after(&from, &same, &server, false).await,
        CREDENTIALS
    );
    assert_eq!(
        credentials_after(&from, "/end", &server, false).await,
        CREDENTIALS
    );

    let host = server.url_at("files.site.example", "/end");
    assert!(
        credentials_after(&from, &host, &server, false)
            .await
            .is_empty()
    );
    let port = other.url_at("api.site.example", "/end");
    assert!(
        credentials_after(&from, &port, &other, false)
            .await
            .is_empty()
    );
    // Away and back: what was dropped does not return.
    let back = server.url_at("files.site.example", &format!("/302?{same}"));
    assert!(
        credentials_after(&from, &back, &server, false)
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn forwarding_ends_at_the_registrable_domain() {
    let (server, other) = (Server::start(by_path).await, Server::start(by_path).await);
    let from = server.url_at("api.site.example", "");
    for (host, expected) in [
        ("files.site.example", &CREDENTIALS[..]),
        ("site.example", &CREDENTIALS),
        ("site.example.evil.example", &[]),
        ("other.example", &[]),
        ("127.0.0.1", &[]),
    ] {
        let location = other.url_at(host, "/end");
        assert_eq!(
            credentials_after(&from, &location, &other, true).await,
            expected,
            "{host}"
        );
    }
}
