//! The APIs behind the access token and behind the key.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Method;
use serde_json::json;

use crate::http_client::{get, send};
use crate::{access_token, start, url};

#[tokio::test]
async fn a_walk_along_the_links_sees_each_item_once() {
    let simulator = start().await;
    let token = access_token(&simulator).await;
    let mut next = Some(url(&simulator, "api/items?page=1&per_page=20"));
    let (mut ids, mut pages) = (Vec::new(), 0);
    while let Some(page) = next {
        let answer = get(&page, &token).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let items = answer.json();
        let items = items.as_array().expect("an array");
        ids.extend(items.iter().filter_map(|item| item["id"].as_u64()));
        pages += 1;
        next = link(answer.header("link"), "next");
    }
    assert_eq!(pages, 5);
    assert_eq!(ids.len(), 95);
    assert_eq!(ids.into_iter().collect::<BTreeSet<_>>(), (1..=95).collect());
    assert_eq!(simulator.control().refusals(), []);
}

#[tokio::test]
async fn links_name_the_pages_around() {
    let simulator = start().await;
    let token = access_token(&simulator).await;
    let page = |n: u32| url(&simulator, &format!("api/items?page={n}&per_page=20"));
    let around = |links: String| ["prev", "next", "last"].map(|rel| link(&links, rel));
    let links = async |n| around(get(&page(n), &token).await.header("link").to_owned());
    assert_eq!(links(1).await, [None, Some(page(2)), Some(page(5))]);
    assert_eq!(
        links(3).await,
        [Some(page(2)), Some(page(4)), Some(page(5))]
    );
    assert_eq!(links(5).await, [Some(page(4)), None, None]);
    let beyond = get(&page(9), &token).await;
    assert_eq!(beyond.json(), json!([]));
    assert_eq!(link(beyond.header("link"), "prev"), Some(page(5)));
}

#[tokio::test]
async fn unknown_and_impossible_page_parameters_are_refused() {
    let simulator = start().await;
    let token = access_token(&simulator).await;
    let bad = [
        "page=0",
        "page=-1",
        "page=x",
        "page=",
        "per_page=0",
        "per_page=101",
        "cursor=a",
        "page=1&page=2",
    ];
    for query in bad {
        let answer = get(&url(&simulator, &format!("api/items?{query}")), &token).await;
        assert_eq!(answer.status, 400, "{query}");
    }
    assert_eq!(simulator.control().refusals().len(), bad.len());
    assert_eq!(get(&url(&simulator, "api/items"), &token).await.status, 200);
}

#[tokio::test]
async fn an_item_can_be_added_and_read_back() {
    let simulator = start().await;
    let authorization = format!("Bearer {}", access_token(&simulator).await);
    let auth = ("authorization", authorization.as_str());
    let json_type = ("content-type", "application/json");
    let items = url(&simulator, "api/items");
    let new = json!({ "name": "New", "size": [1, 2.5] });
    let answer = send(Method::POST, &items, &[auth, json_type], new.to_string()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(
        answer.json(),
        json!({ "id": 96, "name": "New", "size": [1, 2.5] })
    );

    let read = send(Method::GET, answer.header("location"), &[auth], "").await;
    assert_eq!(read.json(), answer.json());
    let missing = send(Method::GET, &url(&simulator, "api/items/97"), &[auth], "").await;
    assert_eq!(missing.status, 404);
    assert_eq!(simulator.control().refusals(), []);

    for (body, headers) in [
        (r#"{"name":"New"}"#, &[auth][..]),
        ("[]", &[auth, json_type]),
        ("{", &[auth, json_type]),
        (r#"{"name":""}"#, &[auth, json_type]),
        (r#"{"name":"New","id":1}"#, &[auth, json_type]),
    ] {
        let answer = send(Method::POST, &items, headers, body).await;
        assert_eq!(answer.status, 400, "{body}");
    }
    assert_eq!(simulator.control().refusals().len(), 5);
}

#[tokio::test]
async fn only_issued_tokens_open_the_api() {
    let simulator = start().await;
    let me = url(&simulator, "api/me");
    for headers in [
        &[][..],
        &[("authorization", "Bearer demo_access_0")],
        &[("authorization", "Basic ZGVtbzpkZW1v")],
        &[("authorization", "Bearer a"), ("authorization", "Bearer b")],
    ] {
        let answer = send(Method::GET, &me, headers, "").await;
        assert_eq!(answer.status, 401, "{headers:?}");
        assert!(answer.header("www-authenticate").starts_with("Bearer "));
        assert_eq!(answer.json()["error"], "invalid_token");
    }
    assert_eq!(simulator.control().refusals().len(), 4);
}

#[tokio::test]
async fn expired_and_revoked_tokens_are_401_but_no_mistake_of_the_caller() {
    let simulator = start().await;
    let control = simulator.control();
    let me = url(&simulator, "api/me");

    let token = access_token(&simulator).await;
    control.advance_clock(Duration::from_secs(3599));
    assert_eq!(get(&me, &token).await.status, 200);
    control.advance_clock(Duration::from_secs(1));
    assert_eq!(get(&me, &token).await.status, 401);

    let token = access_token(&simulator).await;
    control.revoke_access_tokens();
    assert_eq!(get(&me, &token).await.status, 401);
    assert_eq!(control.refusals(), []);
}

#[tokio::test]
async fn echo_shows_the_request_and_requests_keep_it() {
    let simulator = start().await;
    let authorization = format!("Bearer {}", access_token(&simulator).await);
    let headers = [
        ("authorization", authorization.as_str()),
        ("x-twice", "a"),
        ("x-twice", "b"),
    ];
    let address = url(&simulator, "api/echo/a%2Fb?x=1&x=%20y&z");
    let answer = send(Method::PATCH, &address, &headers, "hello").await;
    let shown = answer.json();
    assert_eq!(shown["method"], "PATCH");
    assert_eq!(shown["path"], "/api/echo/a%2Fb");
    assert_eq!(shown["query"], "x=1&x=%20y&z");
    assert_eq!(shown["headers"]["x-twice"], "a, b");
    assert_eq!(shown["body"], "hello");

    let requests = simulator.control().requests();
    let seen = requests.last().expect("the request");
    assert_eq!(
        (seen.method.as_str(), seen.path.as_str()),
        ("PATCH", "/api/echo/a%2Fb")
    );
    let pairs: Vec<_> = seen
        .query
        .iter()
        .map(|(n, v)| (n.as_str(), v.as_str()))
        .collect();
    assert_eq!(pairs, [("x", "1"), ("x", " y"), ("z", "")]);
    assert_eq!(seen.header("authorization"), Some(authorization.as_str()));
    assert_eq!(&seen.body[..], b"hello");
}

#[tokio::test]
async fn empty_has_no_body_and_stream_no_length() {
    let simulator = start().await;
    let token = access_token(&simulator).await;
    let empty = get(&url(&simulator, "api/empty"), &token).await;
    assert_eq!((empty.status, empty.body.len()), (204, 0));

    let stream = get(&url(&simulator, "api/stream?chunks=3"), &token).await;
    assert_eq!(stream.text(), "chunk 1\nchunk 2\nchunk 3\n");
    assert_eq!(stream.header("content-length"), "");
    assert_eq!(
        get(&url(&simulator, "api/stream"), &token).await.status,
        400
    );
}

#[tokio::test]
async fn the_key_opens_only_the_key_api() {
    let simulator = start().await;
    let (me, echo) = (
        url(&simulator, "key-api/me"),
        url(&simulator, "key-api/echo"),
    );
    assert_eq!(get(&me, "demo-api-key").await.json()["login"], "demo");
    assert_eq!(get(&echo, "demo-api-key").await.json()["method"], "GET");
    assert_eq!(get(&me, "wrong").await.status, 401);
    assert_eq!(
        simulator.control().refusals(),
        [],
        "a person mistyped the key"
    );

    let token = access_token(&simulator).await;
    assert_eq!(get(&echo, &token).await.status, 401);
    assert_eq!(
        get(&url(&simulator, "api/me"), "demo-api-key").await.status,
        401
    );
}

#[tokio::test]
async fn the_front_page_names_endpoints_and_others_are_refused() {
    let simulator = start().await;
    let front = send(Method::GET, simulator.base_url().as_str(), &[], "").await;
    assert!(
        front.text().contains("/oauth/authorize"),
        "{}",
        front.text()
    );
    assert_eq!(simulator.control().refusals(), []);
    let other = send(Method::GET, &url(&simulator, "nothing/here"), &[], "").await;
    assert_eq!(other.status, 404);
    assert_eq!(simulator.control().refusals().len(), 1);
}

/// The target of a relation in a Link header.
fn link(header: &str, rel: &str) -> Option<String> {
    let wanted = format!(r#"rel="{rel}""#);
    let found = header.split(", ").find(|part| part.ends_with(&wanted))?;
    Some(found.split(['<', '>']).nth(1)?.to_owned())
}
