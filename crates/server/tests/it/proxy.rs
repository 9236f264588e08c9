//! Calls through the proxy: what arrives and what comes back.

use bytes::Bytes;
use http::{Method, Request};
use linkspan_net as net;
use linkspan_simulator::{Fault, SeenRequest};
use linkspan_testkit::{Reply, TestApp};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

/// An app with a connection of the demo provider.
pub(crate) struct Demo {
    pub(crate) app: TestApp,
    pub(crate) connection: String,
}

impl Demo {
    pub(crate) async fn start() -> Self {
        let app = TestApp::start().await;
        let connection = app.connect_demo().await;
        Self { app, connection }
    }

    pub(crate) fn headers<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let ours = [
            ("Provider-Config-Key", "demo"),
            ("Connection-Id", self.connection.as_str()),
        ];
        [&ours, more].concat()
    }

    /// Calls with JSON, or without a body.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        more: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let path = format!("/proxy{path}");
        let headers = self.headers(more);
        self.app
            .call_as(&self.app.dev.api_key, method, &path, &headers, body)
            .await
    }

    pub(crate) async fn get(&self, path: &str, more: &[(&str, &str)]) -> Reply {
        self.call(Method::GET, path, more, Value::Null).await
    }

    pub(crate) fn answer_next(
        &self,
        path: &str,
        status: u16,
        headers: &[(&str, &str)],
        body: &str,
    ) {
        self.app.provider.control().fail_next(Fault::Status {
            path: path.to_owned(),
            status,
            headers: headers
                .iter()
                .map(|&(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        });
    }

    /// The requests that reached the provider's API.
    pub(crate) fn seen(&self, path: &str) -> Vec<SeenRequest> {
        let mut requests = self.app.provider.control().requests();
        requests.retain(|request| request.path == path);
        requests
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_come_back_as_they_are() {
    let demo = Demo::start().await;
    for status in [200, 201, 202, 206, 299, 400, 403, 404, 418, 500, 503] {
        let headers = [
            ("content-type", "text/x-own"),
            ("x-request-id", "r1"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("access-control-allow-origin", "https://upstream.example"),
        ];
        demo.answer_next("/api/me", status, &headers, "the body");
        let reply = demo.get("/api/me", &[]).await;
        assert_eq!(reply.status, status);
        assert_eq!(reply.body, "the body");
        assert_eq!(reply.header("content-type"), Some("text/x-own"));
        assert_eq!(reply.header("content-length"), Some("8"));
        assert_eq!(reply.header("x-request-id"), Some("r1"));
        assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(reply.header("access-control-allow-origin"), None);
    }
    let empty = demo.get("/api/empty", &[]).await;
    assert_eq!((empty.status.as_u16(), empty.body.len()), (204, 0));
    assert_eq!(demo.get("/api/me", &[]).await.json()["login"], "demo");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_arrive_as_the_caller_means_them() {
    let demo = Demo::start().await;
    let more = [
        ("Cookie", "ours=1"),
        ("X-Plain", "1"),
        ("Retries", "0"),
        ("Base-Url-Override", ""),
        ("Nango-Activity-Log-Id", "x"),
        ("Nango-Proxy-X-One", "1"),
        ("NANGO-PROXY-Accept", "text/x-wanted"),
    ];
    let body = json!({ "name": "ünï", "list": [1.0, null] });
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let path = "/api/echo/a%2Fb//c?x=%20y&x=2&z";
        let echo = demo.call(method.clone(), path, &more, body.clone()).await;
        assert_eq!(echo.status, 200, "{echo:?}");
        let echo = echo.json();
        assert_eq!(echo["method"], method.as_str());
        assert_eq!(echo["path"], "/api/echo/a%2Fb//c");
        assert_eq!(echo["query"], "x=%20y&x=2&z");
        assert_eq!(echo["body"], body.to_string());
        let headers = echo["headers"].as_object().unwrap();
        assert_eq!(headers["content-type"], "application/json");
        assert_eq!(headers["x-one"], "1");
        assert_eq!(headers["accept"], "text/x-wanted");
        let mut names: Vec<_> = headers.keys().map(String::as_str).collect();
        names.retain(|name| *name != "user-agent");
        assert_eq!(
            names,
            [
                "accept",
                "authorization",
                "content-length",
                "content-type",
                "host",
                "x-one"
            ]
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_stream_both_ways() {
    const SIZE: usize = 8 * 1024 * 1024;
    let demo = Demo::start().await;
    let large: String = (0..SIZE / 8).map(|n| format!("{n:07}\n")).collect();
    let policy = net::AddressPolicy::from_settings(&["loopback".to_owned()], &[]).unwrap();
    let client = net::Client::new(net::Settings {
        policy,
        ..net::Settings::default()
    })
    .unwrap();
    for is_announced in [true, false] {
        let mut request = Request::post(demo.app.url("/proxy/api/echo"))
            .header(
                "authorization",
                format!("Bearer {}", demo.app.dev.api_key.expose_secret()),
            )
            .header("content-type", "text/plain");
        for (name, value) in demo.headers(&[]) {
            request = request.header(name, value);
        }
        if is_announced {
            request = request.header("content-length", SIZE);
        }
        let pieces: Vec<Result<Bytes, std::io::Error>> = large
            .as_bytes()
            .chunks(100_000)
            .map(|piece| Ok(Bytes::copy_from_slice(piece)))
            .collect();
        let body = net::Body::stream(futures_util::stream::iter(pieces));
        let deadlines = net::Deadlines {
            response_head: std::time::Duration::from_secs(60),
        };
        let reply = client
            .send(request.body(body).unwrap(), deadlines)
            .await
            .unwrap();
        assert_eq!(reply.status(), 200);
        let seen = demo.seen("/api/echo").pop().unwrap();
        assert!(
            seen.body == large.as_bytes(),
            "{} bytes arrived",
            seen.body.len()
        );
        assert_eq!(seen.header("content-length").is_some(), is_announced);
    }
    demo.answer_next("/api/me", 200, &[], &large);
    let down = demo.get("/api/me", &[]).await;
    assert!(
        down.body == large.as_bytes(),
        "{} bytes came back",
        down.body.len()
    );
    let chunks = demo.get("/api/stream?chunks=5000", &[]).await;
    assert_eq!(chunks.header("content-length"), None);
    let last = chunks
        .body
        .split(|byte| *byte == b'\n')
        .nth_back(1)
        .unwrap();
    assert_eq!(last, b"chunk 5000");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_call_is_logged_with_its_answer() {
    let demo = Demo::start().await;
    demo.get("/api/me?a=1", &[]).await;
    demo.answer_next("/api/me", 403, &[], "");
    demo.get("/api/me", &[]).await;
    // Refused before it is a call of anything.
    let twice = demo.get("/api/me", &[("Connection-Id", "none")]).await;
    assert_eq!(twice.code(), "invalid_headers");
    let connection = demo.connection.clone();
    let (database, provider) = demo.app.stop().await;
    let url = database.direct_url();
    let (client, driver) = tokio_postgres::connect(url.expose_secret(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(driver);
    let sql = "SELECT action, status, integration, provider, connection_id, http_status,
        messages->0->>'text' FROM logs.operations WHERE kind = 'proxy' ORDER BY id";
    let rows = client.query(sql, &[]).await.unwrap();
    let api = provider.base_url().join("api/me").unwrap();
    let texts = [
        ("success", 200_i16, format!("GET {api} answered 200")),
        ("failed", 403, format!("GET {api} answered 403")),
    ];
    assert_eq!(rows.len(), texts.len());
    for (row, (status, http_status, text)) in rows.iter().zip(texts) {
        let column = |at| row.get::<usize, String>(at);
        assert_eq!([column(0), column(1)], ["call", status]);
        assert_eq!([column(2), column(3)], ["demo", "demo"]);
        assert_eq!(
            (column(4), row.get(5), column(6)),
            (connection.clone(), http_status, text)
        );
    }
}
