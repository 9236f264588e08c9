//! Counters move by exactly the calls that are made.

use http::Method;
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::connect_async;

use super::scrape::{ON, monitor, scrape};
use crate::installation::{Api, Installation, Server, root_key};
use crate::refresh::world::{FUTURE, World, eventually};

/// One call through the proxy; its status.
async fn proxied(api: &Api, key: &str, connection: &str, path: &str, base: Option<&str>) -> u16 {
    let mut headers = vec![
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", connection),
    ];
    headers.extend(base.map(|base| ("Base-Url-Override", base)));
    let path = format!("/proxy{path}");
    let call = api.call(key, Method::GET, &path, &headers, Value::Null);
    call.await.0
}

/// An address where nobody listens.
async fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_calls_and_refreshes_are_counted_one_by_one() {
    let world = World::new().await;
    let settings = [ON, ("LINKSPAN_CACHE_TTL_MS", "60000")];
    let server = world.serve_with("a", &settings).await.server;
    let (api, key, monitor) = (&server.api, &world.key, monitor(&server));
    world.integrate(api).await;
    world.connect(api, "one", FUTURE).await;
    let nobody = nobody().await;

    let stored = "linkspan_log_operations_total{outcome=\"stored\"}";
    eventually("what led here is stored", async || {
        scrape(&monitor).await.value(stored) == 2.0
    })
    .await;
    let before = scrape(&monitor).await;
    for _ in 0..3 {
        assert_eq!(
            proxied(api, key, "one", "/api/items?per_page=1", None).await,
            200
        );
    }
    for path in ["/api/nothing", "/api/nowhere"] {
        assert_eq!(proxied(api, key, "one", path, None).await, 404);
    }
    assert_eq!(proxied(api, key, "one", "/x", Some(&nobody)).await, 502);
    let unknown = proxied(api, key, "two", "/x", None).await;
    assert!((400..500).contains(&unknown), "{unknown}");
    for _ in 0..2 {
        assert_eq!(world.get(api, "one").await.0, 200);
    }
    assert_eq!(api.get(key, "/no/such/route").await.0, 404);
    assert_eq!(world.force(api, "one").await.unwrap().0, 200);
    eventually("the log is stored", async || {
        // Seven calls and a refresh.
        scrape(&monitor).await.value(stored) == 10.0
    })
    .await;

    let after = scrape(&monitor).await;
    let calls = |provider: &str, outcome: &str| {
        format!("linkspan_proxy_calls_total{{provider=\"{provider}\",outcome=\"{outcome}\"}}")
    };
    let expected = [
        (calls("demo", "client_error"), 2.0),
        (calls("demo", "success"), 3.0),
        (calls("demo", "unanswered"), 1.0),
        (calls("unknown", "refused"), 1.0),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, n)| (name.as_str(), *n))
        .collect();
    assert_eq!(after.since(&before, "linkspan_proxy_calls_total"), expected);

    let requests = |route: &str, status: &str| {
        format!(
            "linkspan_http_requests_total{{route=\"{route}\",method=\"GET\",status=\"{status}\"}}"
        )
    };
    let refused = format!("{}xx", unknown / 100);
    let mut expected = [
        (requests("/connections/{connection_id}", "2xx"), 3.0),
        (requests("/proxy/{path}", "2xx"), 3.0),
        (requests("/proxy/{path}", "4xx"), 2.0),
        (requests("/proxy/{path}", "5xx"), 1.0),
        (requests("unmatched", "4xx"), 1.0),
    ];
    let of_unknown = requests("/proxy/{path}", &refused);
    let same = expected.iter_mut().find(|(name, _)| *name == of_unknown);
    same.expect("a class").1 += 1.0;
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, n)| (name.as_str(), *n))
        .collect();
    assert_eq!(
        after.since(&before, "linkspan_http_requests_total"),
        expected
    );

    for (name, change) in [
        (
            "linkspan_proxy_upstream_duration_seconds_count{provider=\"demo\"}",
            6.0,
        ),
        (
            "linkspan_http_request_duration_seconds_count{route=\"/proxy/{path}\",method=\"GET\"}",
            7.0,
        ),
        (
            "linkspan_token_refreshes_total{provider=\"demo\",outcome=\"stored\"}",
            1.0,
        ),
        (
            "linkspan_token_refreshes_total{provider=\"demo\",outcome=\"failed\"}",
            0.0,
        ),
        (
            "linkspan_token_refresh_duration_seconds_count{provider=\"demo\"}",
            1.0,
        ),
    ] {
        assert_eq!(after.value(name) - before.value(name), change, "{name}");
    }
    let lookups = |cache: &str, result: &str| {
        let name = format!("linkspan_cache_lookups_total{{cache=\"{cache}\",result=\"{result}\"}}");
        after.value(&name) - before.value(&name)
    };
    // The first call puts the connection there; there is none to put of `two`.
    assert!(lookups("connections", "hit") >= 5.0);
    assert_eq!(lookups("callers", "hit"), 10.0, "the key was known");
    server.running.end_by(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_shows_and_who_leaves_is_counted() {
    let root = root_key("main");
    let (installation, [key, _]) = Installation::new(&root).await;
    let program = installation.server(&root).set(ON.0, ON.1);
    let server = Server::started(program.set("LINKSPAN_PROXY_CALLS_PER_PROVIDER", "1")).await;
    let monitor = monitor(&server);
    let connection = server.api.connect_bearer(&key, "the-secret").await;
    let slow_api = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = slow_api.local_addr().unwrap();
    let request = format!(
        "GET /proxy/slow HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer {key}\r\n\
         Provider-Config-Key: bearer\r\nConnection-Id: {connection}\r\n\
         Base-Url-Override: http://{base_url}\r\n\r\n"
    );
    let mut callers = Vec::new();
    for _ in 0..2 {
        let mut caller = TcpStream::connect(server.address()).await.unwrap();
        caller.write_all(request.as_bytes()).await.unwrap();
        callers.push(caller);
    }
    let (mut stream, _) = slow_api.accept().await.unwrap();
    assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
    let address = format!("ws://{}/", server.address());
    let (websocket, _) = connect_async(address).await.unwrap();

    let provider = "private-api-bearer";
    let running = format!("linkspan_proxy_calls_running{{provider=\"{provider}\"}}");
    let waiting = format!("linkspan_proxy_calls_waiting{{provider=\"{provider}\"}}");
    eventually("one call runs and one waits", async || {
        let now = scrape(&monitor).await;
        now.value(&running) == 1.0 && now.value(&waiting) == 1.0
    })
    .await;
    let now = scrape(&monitor).await;
    assert_eq!(now.value("linkspan_proxy_calls_limit"), 1.0);
    assert_eq!(now.value("linkspan_websockets"), 1.0);
    assert!(now.value("linkspan_http_connections") >= 3.0);
    assert!(now.value("linkspan_database_connections{group=\"control\"}") >= 1.0);

    drop((callers, websocket));
    let abandoned =
        format!("linkspan_proxy_calls_total{{provider=\"{provider}\",outcome=\"abandoned\"}}");
    let gone =
        "linkspan_http_requests_total{route=\"/proxy/{path}\",method=\"GET\",status=\"gone\"}";
    eventually("both have left", async || {
        let now = scrape(&monitor).await;
        now.value(&running) == 0.0
            && now.value(&waiting) == 0.0
            && now.value("linkspan_websockets") == 0.0
            && now.value(&abandoned) == 2.0
            && now.value(gone) == 2.0
    })
    .await;
    server.running.end_by(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_by_an_allowance_are_counted() {
    let root = root_key("main");
    let (installation, [key, _]) = Installation::new(&root).await;
    let program = installation.server(&root).set(ON.0, ON.1);
    let server = Server::started(program.set("LINKSPAN_LIMITS_REQUESTS_PER_MINUTE", "2")).await;
    let mut refused = 0.0;
    for _ in 0..6 {
        let (status, _) = server.api.get(&key, "/integrations").await;
        refused += f64::from(u8::from(status == 429));
    }
    assert!(refused >= 1.0);
    let now = scrape(&monitor(&server)).await;
    let by = |who: &str| {
        now.value(&format!(
            "linkspan_http_rate_limited_total{{allowance=\"{who}\"}}"
        ))
    };
    assert_eq!((by("environment"), by("browser")), (refused, 0.0));
    server.running.end_by(Signal::TERM).await;
}
