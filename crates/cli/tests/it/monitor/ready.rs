//! Whether there is a monitor, and what it says of the server.

use std::collections::HashSet;

use http::Method;
use linkspan_testkit::OwnPostgres;
use rustix::process::Signal;
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::scrape::{ON, monitor};
use crate::installation::{Installation, Server, root_key};
use crate::refresh::world::eventually;

/// How many sockets of a process listen, as the system has it.
fn listening(process: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let links = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    let sockets: HashSet<String> = links
        .filter_map(|link| {
            let name = link.to_str()?.strip_prefix("socket:[")?;
            Some(name.strip_suffix(']')?.to_owned())
        })
        .collect();
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let is_listening = |line: &&str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields[3] == "0A" && sockets.contains(fields[9])
    };
    table.lines().skip(1).filter(is_listening).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_monitor_only_where_a_setting_says() {
    let root = root_key("main");
    let (installation, _) = Installation::new(&root).await;
    let off = installation.serve(&root).await;
    assert_eq!(off.running.said("monitored"), None);
    assert_eq!(listening(off.running.id()), 1, "the API's");
    assert_eq!(off.api.get("", "/metrics").await.0, 404);

    let on = installation.server(&root).set(ON.0, ON.1);
    let on = Server::started(on).await;
    assert_eq!(listening(on.running.id()), 2);
    let (status, page) = monitor(&on).get("", "/metrics").await;
    assert_eq!(status, 200);
    assert!(page.as_str().unwrap().contains("role=\"server\""), "{page}");
    assert_eq!(
        on.api.get("", "/metrics").await.0,
        404,
        "the port of the API"
    );

    let taken = monitor(&on).host().to_owned();
    let second = installation.server(&root).set(ON.0, &taken);
    let error = second.run().await.refused();
    assert!(
        error.contains(&format!("cannot listen on {taken}")),
        "{error}"
    );
    assert!(error.contains("LINKSPAN_SERVER_MONITOR_BIND"), "{error}");
    for server in [off, on] {
        server.running.end_by(Signal::TERM).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_ready_while_the_database_is_away_and_healthy_all_the_same() {
    let mut database = OwnPostgres::new();
    let root = root_key("main");
    let installation = Installation::at(database.url().expose_secret());
    let migrate = installation.command(&["migrate"], &root).run().await;
    migrate.printed();
    installation.bootstrap(&root).await;
    let server = Server::started(installation.server(&root).set(ON.0, ON.1)).await;
    let monitor = monitor(&server);
    let ok = (200, json!({ "result": "ok" }));
    assert_eq!(monitor.get("", "/ready").await, ok);

    database.stop();
    eventually("it is not ready", async || {
        monitor.get("", "/ready").await.0 == 503
    })
    .await;
    let (_, answer) = monitor.get("", "/ready").await;
    assert_eq!(answer["reason"], "the database does not answer", "{answer}");
    assert_eq!(monitor.get("", "/health").await, ok);
    assert_eq!(monitor.get("", "/metrics").await.0, 200);

    database.start();
    eventually("it is ready again", async || {
        monitor.get("", "/ready").await == ok
    })
    .await;
    server.running.end_by(Signal::TERM).await;
    database.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_is_not_ready_and_is_monitored_to_its_end() {
    let root = root_key("main");
    let (installation, [key, _]) = Installation::new(&root).await;
    let mut server = Server::started(installation.server(&root).set(ON.0, ON.1)).await;
    let monitor = monitor(&server);
    let connection = server.api.connect_bearer(&key, "the-secret").await;
    let slow_api = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base_url = format!("http://{}", slow_api.local_addr().unwrap());
    let api = server.api.clone();
    let call = tokio::spawn(async move {
        let headers = [
            ("Provider-Config-Key", "bearer"),
            ("Connection-Id", &*connection),
            ("Base-Url-Override", &*base_url),
        ];
        api.call(&key, Method::GET, "/proxy/slow", &headers, Value::Null)
            .await
    });
    let (mut stream, _) = slow_api.accept().await.unwrap();
    assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);

    server.running.signal(Signal::TERM);
    server
        .running
        .says("finishing the requests under way")
        .await;
    let (status, answer) = monitor.get("", "/ready").await;
    assert_eq!(
        (status, &answer["reason"]),
        (503, &json!("the process is stopping"))
    );
    assert_eq!(monitor.get("", "/health").await.0, 200);
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntrue";
    stream.write_all(answer.as_bytes()).await.unwrap();
    assert_eq!(call.await.unwrap(), (200, json!(true)));
    let (status, output) = server.running.ended().await;
    assert!(status.success(), "{status}: {output:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_monitored_too() {
    let root = root_key("main");
    let (installation, _) = Installation::new(&root).await;
    let (running, monitor) = installation.work(&root, &[]).await;
    let ok = (200, json!({ "result": "ok" }));
    assert_eq!(monitor.get("", "/health").await, ok);
    eventually("it has its lease", async || {
        monitor.get("", "/ready").await == ok
    })
    .await;
    eventually("it says how many jobs it may run", async || {
        let (_, page) = monitor.get("", "/metrics").await;
        let page = page.as_str().unwrap();
        page.contains("role=\"worker\"") && page.contains("linkspan_worker_slots 50")
    })
    .await;
    let second = installation
        .command(&["worker"], &root)
        .set("LINKSPAN_WORKER_BIND", monitor.host());
    let error = second.run().await.refused();
    assert!(error.contains("LINKSPAN_WORKER_BIND"), "{error}");
    running.end_by(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_renew_its_lease_is_not_ready() {
    let root = root_key("main");
    let (installation, _) = Installation::new(&root).await;
    let lease = [("LINKSPAN_WORKER_LEASE_MS", "900")];
    let (running, monitor) = installation.work(&root, &lease).await;
    let ok = (200, json!({ "result": "ok" }));
    eventually("it has its lease", async || {
        monitor.get("", "/ready").await == ok
    })
    .await;
    // The database answers, and refuses this alone.
    installation
        .sql("ALTER TABLE jobs.workers ADD CONSTRAINT none CHECK (expires_at IS NULL) NOT VALID")
        .await;
    eventually("it has lost its lease", async || {
        let (status, answer) = monitor.get("", "/ready").await;
        let reason = answer["reason"].as_str().unwrap_or_default();
        status == 503 && reason.contains("lease has run out")
    })
    .await;
    assert_eq!(monitor.get("", "/health").await, ok);
    installation
        .sql("ALTER TABLE jobs.workers DROP CONSTRAINT none")
        .await;
    eventually("it has a lease again", async || {
        monitor.get("", "/ready").await == ok
    })
    .await;
    running.end_by(Signal::TERM).await;
}
