//! `dev`: what it keeps, what it refuses, how it stops.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Method;
use linkspan_simulator::browser::{Browser, Decision};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installation::{Api, Installation};
use crate::program::{Program, Running, linkspan};

/// Where `dev` keeps its things, and its ports.
struct Home {
    folder: TempDir,
    port: u16,
    demo_port: u16,
    monitor_port: u16,
}

impl Home {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            port: free_port(),
            demo_port: free_port(),
            monitor_port: free_port(),
        }
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn ready_file(&self) -> PathBuf {
        self.folder.path().join("ready.json")
    }

    /// `dev` on its private Postgres.
    fn dev(&self) -> Program {
        let (data_dir, ready_file) = (self.data_dir(), self.ready_file());
        let (port, demo_port) = (self.port.to_string(), self.demo_port.to_string());
        let monitor_port = self.monitor_port.to_string();
        linkspan(&[
            "dev",
            "--data-dir",
            data_dir.to_str().unwrap(),
            "--ready-file",
            ready_file.to_str().unwrap(),
            "--port",
            &port,
            "--demo-port",
            &demo_port,
            "--monitor-port",
            &monitor_port,
        ])
    }

    fn dev_on(&self, database: &Installation) -> Program {
        database.name_in(self.dev())
    }

    /// Waits for the ready file's content.
    async fn ready(&self, running: &mut Running) -> Value {
        running.says("Ctrl-C stops everything").await;
        // It is written right after that is printed.
        let written = async {
            loop {
                if let Ok(text) = std::fs::read_to_string(self.ready_file()) {
                    return serde_json::from_str(&text).expect("a whole file");
                }
                tokio::task::yield_now().await;
            }
        };
        let written = tokio::time::timeout(Duration::from_secs(10), written).await;
        written.expect("the ready file is written")
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn text(value: &Value, name: &str) -> String {
    value[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {value}"))
        .to_owned()
}

/// Creates an integration with the demo provider and connects an account.
async fn connect_demo(api: &Api, ready: &Value, key: &str) -> String {
    let integration = json!({
        "unique_key": "demo",
        "provider": "demo",
        "credentials": {
            "type": "OAUTH2", "client_id": "demo-client", "client_secret": "demo-secret",
        },
        "integration_config": { "baseUrl": ready["demo_url"] },
    });
    api.post(key, "/integrations", integration).await;
    let token = api.session(key).await;
    let server = text(ready, "server_url");
    let start = format!("{server}/oauth/connect/demo?connect_session_token={token}");
    let user = linkspan_simulator::Settings::default().user;
    let mut browser = Browser::new();
    let back = browser.authorize(&start, &user, Decision::Allow).await;
    let page = browser
        .open(&back.expect("the way back"))
        .await
        .expect("a page");
    assert_eq!(page.status, 200, "{}", page.body);
    let (_, list) = api.get(key, "/connections").await;
    text(&list["connections"][0], "connection_id")
}

async fn items(api: &Api, key: &str, connection: &str) -> (u16, Value) {
    let headers = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", connection),
    ];
    api.call(
        key,
        Method::GET,
        "/proxy/api/items?per_page=1",
        &headers,
        Value::Null,
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_goes_on_with_keys_connections_and_the_providers_grants() {
    let (home, database) = (Home::new(), Installation::empty().await);
    let mut running = home.dev_on(&database).start();
    let ready = home.ready(&mut running).await;
    assert_eq!(mode(&home.ready_file()), 0o600);
    let monitor = Api::at(&text(&ready, "monitor_url"));
    for path in ["/health", "/ready"] {
        assert_eq!(
            monitor.get("", path).await,
            (200, json!({ "result": "ok" }))
        );
    }
    let (status, page) = monitor.get("", "/metrics").await;
    assert_eq!(status, 200);
    let page = page.as_str().unwrap();
    assert!(page.contains("role=\"dev\""), "{page}");
    let key = text(&ready, "api_key");
    let api = Api::at(&text(&ready, "server_url"));
    let connection = connect_demo(&api, &ready, &key).await;
    assert_eq!(items(&api, &key, &connection).await.0, 200);
    running.end_by(Signal::INT).await;
    for kept in ["root-key", "api-key", "demo.json"] {
        assert_eq!(mode(&home.data_dir().join(kept)), 0o600, "{kept}");
    }

    let mut running = home.dev_on(&database).start();
    assert_eq!(home.ready(&mut running).await, ready);
    let api = Api::at(&text(&ready, "server_url"));
    let (status, answer) = items(&api, &key, &connection).await;
    assert_eq!((status, &answer[0]["id"]), (200, &json!(1)), "{answer}");
    let path = format!("/connections/{connection}?provider_config_key=demo&force_refresh=true");
    let (status, answer) = api.get(&key, &path).await;
    assert_eq!(status, 200, "{answer}");
    running.end_by(Signal::TERM).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_dev_is_refused_and_leaves_the_first_alone() {
    let (home, database) = (Home::new(), Installation::empty().await);
    let mut first = home.dev_on(&database).start();
    let ready = home.ready(&mut first).await;
    let error = home.dev_on(&database).run().await.refused();
    assert!(error.contains("in use by another process"), "{error}");
    let kept = std::fs::read(home.ready_file()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&kept).unwrap(), ready);

    // Another one elsewhere has the ports to choose.
    let mut other = Home::new();
    let spare = std::mem::replace(&mut other.demo_port, home.demo_port);
    let other_database = Installation::empty().await;
    let error = other.dev_on(&other_database).run().await.refused();
    assert!(error.contains("choose another with --demo-port"), "{error}");
    other.demo_port = spare;
    let spare = std::mem::replace(&mut other.port, home.port);
    let error = other.dev_on(&other_database).run().await.refused();
    assert!(error.contains("choose another with --port"), "{error}");
    other.port = spare;
    other.monitor_port = home.monitor_port;
    let error = other.dev_on(&other_database).run().await.refused();
    assert!(
        error.contains("choose another with --monitor-port"),
        "{error}"
    );
    assert!(!other.ready_file().exists());
    first.end_by(Signal::INT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_was_made_with_another_root_key_is_refused_with_advice() {
    let database = Installation::empty().await;
    let (owner, stranger) = (Home::new(), Home::new());
    let mut running = owner.dev_on(&database).start();
    owner.ready(&mut running).await;
    running.end_by(Signal::INT).await;

    let error = stranger.dev_on(&database).run().await.refused();
    let data_dir = stranger.data_dir().canonicalize().unwrap();
    let advice = format!("the keys in {} do not belong together", data_dir.display());
    assert!(error.contains(&advice), "{error}");
    assert!(error.contains("--data-dir"), "{error}");
    assert!(!stranger.ready_file().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_file_that_cannot_be_written_is_named_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = folder.path().join("data");
    let ready_file = folder.path().join("missing/ready.json");
    let arguments = [
        Path::new("--data-dir"),
        &data_dir,
        Path::new("--ready-file"),
        &ready_file,
    ];
    let mut command = vec!["dev"];
    command.extend(arguments.iter().map(|argument| argument.to_str().unwrap()));
    let ended = linkspan(&command).run().await;
    assert_eq!(ended.stdout, "");
    let error = ended.refused();
    assert!(
        error.contains("cannot write") && error.contains("ready.json"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_while_postgres_is_made_leaves_nothing_running() {
    let home = Home::new();
    let mut running = home.dev().start();
    running.says("Making a Postgres").await;
    let output = running.end_by(Signal::INT).await;
    assert!(
        !output
            .iter()
            .any(|line| line.contains("Linkspan is running")),
        "{output:#?}"
    );
    let postgres = home.data_dir().join("postgres");
    assert!(!postgres.join("server/data/postmaster.pid").exists());
    // Fails while a process holds it, as one does that makes the cluster.
    linkspan_localdb::remove(&postgres).unwrap();
}
