//! A database, the commands that work on it, and servers.

use std::time::Duration;

use bytes::Bytes;
use diesel::QueryDsl as _;
use diesel_async::RunQueryDsl as _;
use http::{Method, Request, header};
use linkspan_net as net;
use linkspan_shared::db::scalar;
use linkspan_shared::db::schema::popup_channels;
use linkspan_shared::vault::Keyring;
use linkspan_testkit::TestDatabase;
use rustix::process::Signal;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use crate::program::{Program, Running, linkspan};

/// A database that no command has touched yet.
pub(crate) struct Installation {
    url: String,
    direct_url: String,
    /// Dropped with this value, if it is the test server's.
    database: Option<TestDatabase>,
}

/// A server that answers.
pub(crate) struct Server {
    pub(crate) running: Running,
    pub(crate) api: Api,
}

/// Calls to a server.
#[derive(Clone)]
pub(crate) struct Api {
    base_url: String,
    client: net::Client,
}

/// A fresh root key, `id:key`.
pub(crate) fn root_key(id: &str) -> String {
    Keyring::generate(id).unwrap().expose_secret().to_owned()
}

impl Installation {
    pub(crate) async fn empty() -> Self {
        let database = TestDatabase::empty().await;
        Self {
            url: database.url().expose_secret().to_owned(),
            direct_url: database.direct_url().expose_secret().to_owned(),
            database: Some(database),
        }
    }

    /// On the database of another server.
    pub(crate) fn at(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            direct_url: url.to_owned(),
            database: None,
        }
    }

    /// With tables and the first account; the keys of `dev` and `prod`.
    pub(crate) async fn new(root_keys: &str) -> (Self, [String; 2]) {
        let new = Self::empty().await;
        new.command(&["migrate"], root_keys).run().await.printed();
        let keys = new.bootstrap(root_keys).await;
        (new, keys)
    }

    pub(crate) async fn bootstrap(&self, root_keys: &str) -> [String; 2] {
        let command = self.command(&["admin", "bootstrap"], root_keys);
        let printed = command.run().await.printed();
        ["dev", "prod"].map(|name| {
            let mut lines = printed
                .lines()
                .filter_map(|line| line.trim().split_once(' '));
            let found = lines.find(|(known, _)| *known == name);
            let (_, key) = found.unwrap_or_else(|| panic!("no key of {name} in: {printed}"));
            key.trim().to_owned()
        })
    }

    /// A command on this database; without root keys when they are empty.
    pub(crate) fn command(&self, arguments: &[&str], root_keys: &str) -> Program {
        let program = linkspan(arguments).set("LINKSPAN_VAULT_ROOT_KEYS", root_keys);
        self.name_in(program)
    }

    /// Lets a program work on this database.
    pub(crate) fn name_in(&self, program: Program) -> Program {
        program
            .set("LINKSPAN_DATABASE_URL", &self.url)
            .set("LINKSPAN_DATABASE_DIRECT_URL", &self.direct_url)
    }

    /// A server on a free port, with nothing cached.
    pub(crate) fn server(&self, root_keys: &str) -> Program {
        self.command(&["server"], root_keys)
            .set("LINKSPAN_SERVER_BIND", "127.0.0.1:0")
            .set("LINKSPAN_SERVER_WORKERS", "1")
            .set("LINKSPAN_CACHE_TTL_MS", "0")
            .set("LINKSPAN_NET_ALLOW", "loopback")
            .set("LINKSPAN_LOGS_FORMAT", "json")
    }

    pub(crate) async fn serve(&self, root_keys: &str) -> Server {
        Server::started(self.server(root_keys)).await
    }

    /// Runs SQL behind the program's back.
    pub(crate) async fn sql(&self, sql: &str) {
        let database = self.database.as_ref().expect("the test server's");
        let pool = database.database();
        let conn = pool.conn().await.unwrap();
        conn.client().batch_execute(sql).await.unwrap();
    }

    /// How many rows there are.
    pub(crate) async fn count(&self, from: &str) -> i64 {
        let database = self.database.as_ref().expect("the test server's");
        let pool = database.database();
        let conn = pool.conn().await.unwrap();
        let sql = format!("SELECT count(*) FROM {from}");
        scalar(&conn, &sql).await.unwrap()
    }

    /// A worker that is monitored, and where.
    pub(crate) async fn work(&self, root_keys: &str, settings: &[(&str, &str)]) -> (Running, Api) {
        let mut program = self
            .command(&["worker"], root_keys)
            .set("LINKSPAN_WORKER_BIND", "127.0.0.1:0")
            .set("LINKSPAN_LOGS_FORMAT", "json");
        for (name, value) in settings {
            program = program.set(name, value);
        }
        let mut running = program.start();
        let line = running.says("\"monitored\"").await;
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        let address = line["fields"]["address"].as_str().expect("an address");
        (running, Api::at(&format!("http://{address}")))
    }

    /// How many pages wait, as the database has it.
    pub(crate) async fn popup_channels(&self) -> i64 {
        let database = self.database.as_ref().expect("the test server's");
        let pool = database.database();
        let mut conn = pool.conn().await.unwrap();
        let count = popup_channels::table.count().get_result(&mut conn).await;
        count.unwrap()
    }
}

impl Server {
    /// Starts a program that is a server, and waits until it listens.
    pub(crate) async fn started(program: Program) -> Self {
        let mut running = program.start();
        let line = running.says("\"listening\"").await;
        let line: Value = serde_json::from_str(&line).expect("a line of JSON");
        let address = line["fields"]["address"].as_str().expect("an address");
        let api = Api::at(&format!("http://{address}"));
        Self { running, api }
    }

    /// The host and port that it listens on.
    pub(crate) fn address(&self) -> &str {
        self.api.host()
    }

    pub(crate) async fn stop(self) {
        self.running.end_by(Signal::TERM).await;
    }
}

impl Api {
    pub(crate) fn at(base_url: &str) -> Self {
        let policy = net::AddressPolicy::from_settings(&["loopback".to_owned()], &[]).unwrap();
        let client = net::Client::new(net::Settings {
            policy,
            ..net::Settings::default()
        });
        Self {
            base_url: base_url.to_owned(),
            client: client.unwrap(),
        }
    }

    /// The host and port that it calls.
    pub(crate) fn host(&self) -> &str {
        self.base_url.trim_start_matches("http://")
    }

    /// Status and body of a call; the body is sent unless it is null.
    pub(crate) async fn call(
        &self,
        key: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> (u16, Value) {
        let answer = self.try_call(key, method, path, headers, body).await;
        answer.expect("an answer")
    }

    /// The same for a server that may die meanwhile.
    pub(crate) async fn try_call(
        &self,
        key: &str,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Result<(u16, Value), String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base_url))
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Value::Null => Bytes::new(),
            body => body.to_string().into(),
        };
        let limits = net::Limits {
            total: Duration::from_secs(60),
            max_body: 1024 * 1024,
        };
        let answer = self.client.fetch(request.body(body).unwrap(), limits).await;
        let (head, body) = answer.map_err(|error| error.to_string())?.into_parts();
        let text = || String::from_utf8_lossy(&body).into_owned().into();
        let json = serde_json::from_slice(&body).unwrap_or_else(|_| text());
        Ok((head.status.as_u16(), json))
    }

    pub(crate) async fn get(&self, key: &str, path: &str) -> (u16, Value) {
        self.call(key, Method::GET, path, &[], Value::Null).await
    }

    /// What a call that must succeed answers.
    pub(crate) async fn post(&self, key: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.call(key, Method::POST, path, &[], body).await;
        assert!((200..300).contains(&status), "{path}: {status} {answer}");
        answer
    }

    pub(crate) async fn session(&self, key: &str) -> String {
        let body = json!({ "end_user": { "id": "user-1" } });
        let session = self.post(key, "/connect/sessions", body).await;
        session["data"]["token"].as_str().unwrap().to_owned()
    }

    /// An integration `bearer` with a connection that holds this API key; the
    /// connection's id.
    pub(crate) async fn connect_bearer(&self, key: &str, secret: &str) -> String {
        let integration = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
        self.post(key, "/integrations", integration).await;
        let token = self.session(key).await;
        let path = format!("/api-auth/api-key/bearer?connect_session_token={token}");
        let connected = self.post(key, &path, json!({ "apiKey": secret })).await;
        connected["connectionId"].as_str().unwrap().to_owned()
    }

    /// The API key of a connection of `bearer`, with the status of the call.
    pub(crate) async fn bearer(&self, key: &str, connection: &str) -> (u16, Value) {
        let path = format!("/connections/{connection}?provider_config_key=bearer");
        let (status, answer) = self.get(key, &path).await;
        let secret = answer["credentials"]["apiKey"].clone();
        (status, if secret.is_null() { answer } else { secret })
    }
}
