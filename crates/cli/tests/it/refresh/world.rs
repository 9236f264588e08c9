//! Servers on one database, a strict provider, and connections with it.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use http::Method;
use linkspan_simulator::{Control, Settings, Simulator};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::installation::{Api, Installation, Server, root_key};
use crate::program::{Program, Running};

/// Longest wait for anything to become true.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct World {
    installation: Installation,
    root: String,
    pub(crate) key: String,
    provider: Simulator,
    folder: TempDir,
}

/// A server, and the file by which it is told where to die.
pub(crate) struct Member {
    pub(crate) server: Server,
    breakpoint: PathBuf,
}

impl Member {
    /// Lets the process `kill` or `stop` itself at the next `point`.
    pub(crate) fn at(&self, point: &str, what: &str) {
        let whole = self.breakpoint.with_extension("new");
        std::fs::write(&whole, format!("{point} {what}")).unwrap();
        std::fs::rename(whole, &self.breakpoint).unwrap();
    }

    /// Waits until the process has come to the point.
    pub(crate) async fn is_there(&self) {
        eventually("the process comes to its point", async || {
            !self.breakpoint.exists()
        })
        .await;
    }

    pub(crate) fn api(&self) -> Api {
        self.server.api.clone()
    }
}

/// Asks until it is so.
pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, ask: impl Fn() -> F) {
    let asking = async {
        while !ask().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let so = tokio::time::timeout(PATIENCE, asking).await;
    assert!(so.is_ok(), "not in time: {what}");
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::on(Installation::empty().await).await
    }

    /// On a database that has no tables yet.
    pub(crate) async fn on(installation: Installation) -> Self {
        let root = root_key("main");
        let migrate = installation.command(&["migrate"], &root);
        migrate.run().await.printed();
        let [key, _] = installation.bootstrap(&root).await;
        let provider = Simulator::start(Settings::default()).await.unwrap();
        Self {
            installation,
            root,
            key,
            provider,
            folder: TempDir::new().unwrap(),
        }
    }

    pub(crate) const fn installation(&self) -> &Installation {
        &self.installation
    }

    /// A worker beside the servers, and its monitor.
    pub(crate) async fn work(&self, settings: &[(&str, &str)]) -> (Running, Api) {
        self.installation.work(&self.root, settings).await
    }

    pub(crate) fn provider(&self) -> Control {
        self.provider.control()
    }

    fn program(&self, name: &str) -> (Program, PathBuf) {
        let breakpoint = self.folder.path().join(name);
        let program = self
            .installation
            .server(&self.root)
            .set("LINKSPAN_REFRESH_LEASE_MS", "1000")
            .set("LINKSPAN_TEST_BREAKPOINT", breakpoint.to_str().unwrap());
        (program, breakpoint)
    }

    pub(crate) async fn serve(&self, name: &str) -> Member {
        self.serve_with(name, &[]).await
    }

    pub(crate) async fn serve_with(&self, name: &str, settings: &[(&str, &str)]) -> Member {
        let (mut program, breakpoint) = self.program(name);
        for (name, value) in settings {
            program = program.set(name, value);
        }
        Member {
            server: Server::started(program).await,
            breakpoint,
        }
    }

    pub(crate) async fn integrate(&self, api: &Api) {
        let client = self.provider.client();
        let integration = json!({
            "unique_key": "demo",
            "provider": "demo",
            "credentials": {
                "type": "OAUTH2",
                "client_id": client.client_id,
                "client_secret": client.client_secret,
            },
            "integration_config": {
                "baseUrl": self.provider.base_url().as_str().trim_end_matches('/'),
            },
        });
        api.post(&self.key, "/integrations", integration).await;
    }

    /// A connection of this id whose access token expires then; its refresh
    /// token.
    pub(crate) async fn connect(&self, api: &Api, id: &str, expires_at: &str) -> String {
        let minted = self.provider().mint();
        let body = json!({
            "provider_config_key": "demo",
            "connection_id": id,
            "credentials": {
                "type": "OAUTH2",
                "access_token": minted.access_token,
                "refresh_token": minted.refresh_token,
                "expires_at": expires_at,
            },
        });
        api.post(&self.key, "/connections", body).await;
        minted.refresh_token
    }

    /// The connection as the API shows it, if the server answers.
    pub(crate) async fn try_get(&self, api: &Api, id: &str, query: &str) -> Option<(u16, Value)> {
        let path = format!("/connections/{id}?provider_config_key=demo{query}");
        let answer = api.try_call(&self.key, Method::GET, &path, &[], Value::Null);
        answer.await.ok()
    }

    pub(crate) async fn get(&self, api: &Api, id: &str) -> (u16, Value) {
        self.try_get(api, id, "").await.expect("an answer")
    }

    pub(crate) async fn force(&self, api: &Api, id: &str) -> Option<(u16, Value)> {
        self.try_get(api, id, "&force_refresh=true").await
    }

    /// The refresh token that is stored.
    pub(crate) async fn stored(&self, api: &Api, id: &str) -> String {
        let (status, answer) = self.get(api, id).await;
        assert_eq!(status, 200, "{answer}");
        let token = answer["credentials"]["refresh_token"].as_str();
        token.expect("a refresh token").to_owned()
    }

    /// Waits until what is stored is what the provider takes, and is not
    /// `before` any more; then shows it by a refresh.
    pub(crate) async fn recovers(&self, api: &Api, id: &str, before: &str) {
        let live = || self.provider().live_refresh_token(before);
        eventually("the provider's token is the stored one", async || {
            let stored = self.stored(api, id).await;
            stored != before && live() == Some(stored)
        })
        .await;
        let (status, answer) = self.force(api, id).await.expect("an answer");
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["errors"], json!([]), "{answer}");
        let stored = self.stored(api, id).await;
        assert_eq!(live(), Some(stored));
    }
}

/// Long before, and long after, every test.
pub(crate) const PAST: &str = "2020-01-01T00:00:00.000Z";
pub(crate) const FUTURE: &str = "2090-01-01T00:00:00.000Z";
