//! Linkspan in release, on a Postgres of its own, with one connection.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use linkspan_localdb::{LocalPostgres, Options};
use serde_json::{Value, json};

use super::load::Load;
use super::peer::{Nginx, Process, free_address};
use crate::workspace;

/// A running Linkspan. Fields drop in order: the server before its database.
pub(super) struct Linkspan {
    server: Process,
    _database: LocalPostgres,
    address: SocketAddr,
    upstream: SocketAddr,
    api_key: String,
    connection: String,
    log: PathBuf,
}

impl Linkspan {
    /// Starts it on an empty database, and connects an account of an API with
    /// a bearer key.
    pub(super) fn start(target: &Path, upstream: &Nginx) -> Result<Self> {
        let database = postgres(target)?;
        let address = free_address()?;
        let program = Program {
            path: target.join("release/linkspan"),
            variables: vec![
                (
                    "LINKSPAN_DATABASE_URL",
                    database.url(linkspan_localdb::DATABASE),
                ),
                ("LINKSPAN_SERVER_BIND", address.to_string()),
                ("LINKSPAN_NET_ALLOW", "loopback".to_owned()),
                ("LINKSPAN_LOGS_LEVEL", "warn".to_owned()),
                ("LINKSPAN_LOGS_FORMAT", "json".to_owned()),
            ],
        };
        let key = program.read(&["keys", "generate"])?.trim().to_owned();
        let program = program.with("LINKSPAN_VAULT_ROOT_KEYS", key);
        program.read(&["migrate"])?;
        let printed = program.read(&["admin", "bootstrap"])?;
        let api_key = key_of_dev(&printed).context("bootstrap printed no key for `dev`")?;
        let log = target.join("bench-linkspan.log");
        let server = Process::start(program.command().arg("server"), fs::File::create(&log)?)?;
        server.wait_for(address)?;
        let connection = connect(address, &api_key)?;
        Ok(Self {
            server,
            _database: database,
            address,
            upstream: upstream.address(),
            api_key,
            connection,
            log,
        })
    }

    /// Operations that were dropped because they came faster than Postgres
    /// stored them: a rate that loses its logs must not pass for one that
    /// keeps them.
    pub(super) fn operations_lost(&self) -> Result<f64> {
        Ok(lost(&fs::read_to_string(&self.log)?))
    }

    pub(super) fn load(&self) -> Load {
        Load {
            name: "linkspan",
            url: format!("http://{}/proxy/items/1", self.address),
            headers: vec![
                format!("Authorization: Bearer {}", self.api_key),
                "Provider-Config-Key: bench".to_owned(),
                format!("Connection-Id: {}", self.connection),
                format!("Base-Url-Override: http://{}", self.upstream),
            ],
            pid: self.server.id(),
        }
    }

    /// Resident memory of the server now.
    pub(super) fn memory_mb(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.server.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
        let kilobytes: f64 = kilobytes.context("no VmRSS")?.parse()?;
        Ok(kilobytes / 1024.0)
    }
}

/// A new cluster each time, so that no run has the logs of another.
fn postgres(target: &Path) -> Result<LocalPostgres> {
    let data_dir = target.join("bench-postgres");
    linkspan_localdb::remove(&data_dir)?;
    let options = Options {
        cache_dir: Some(target.join("postgres-binaries")),
        search_path: std::env::var_os("PATH"),
        ..Options::new(data_dir)
    };
    Ok(LocalPostgres::start(&options, &|text| eprintln!("{text}"))?)
}

struct Program {
    path: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl Program {
    fn with(mut self, name: &'static str, value: String) -> Self {
        self.variables.push((name, value));
        self
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn read(&self, arguments: &[&str]) -> Result<String> {
        workspace::read(self.command().args(arguments))
    }
}

/// The sum of what the log's lines say was lost.
fn lost(log: &str) -> f64 {
    log.lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter_map(|line| line["fields"]["lost"].as_f64())
        .fold(0.0, |sum, lost| sum + lost)
}

fn key_of_dev(printed: &str) -> Option<String> {
    printed
        .lines()
        .find_map(|line| line.trim().strip_prefix("dev "))
        .map(|key| key.trim().to_owned())
}

/// Goes the way of a product: integration, connect session, key.
fn connect(server: SocketAddr, api_key: &str) -> Result<String> {
    let post = |path: &str, body: &Value| post(server, api_key, path, body);
    let integration = json!({ "unique_key": "bench", "provider": "private-api-bearer" });
    post("/integrations", &integration)?;
    let session = post(
        "/connect/sessions",
        &json!({ "end_user": { "id": "bench" } }),
    )?;
    let token = session["data"]["token"]
        .as_str()
        .context("no session token")?;
    let path = format!("/api-auth/api-key/bench?connect_session_token={token}");
    let connected = post(&path, &json!({ "apiKey": "key" }))?;
    let id = connected["connectionId"]
        .as_str()
        .context("no connection id")?;
    Ok(id.to_owned())
}

/// Three requests do not deserve an HTTP client in this program.
fn post(server: SocketAddr, api_key: &str, path: &str, body: &Value) -> Result<Value> {
    let body = body.to_string();
    let mut stream = TcpStream::connect(server)?;
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: {server}\r\nConnection: close\r\n\
         Authorization: Bearer {api_key}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("half an answer")?;
    if !head.starts_with("HTTP/1.1 20") {
        bail!("POST {path} answered {answer}");
    }
    serde_json::from_str(body).with_context(|| format!("POST {path} answered {answer}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_key_in_what_bootstrap_prints() {
        let printed = "Created account 'x'. Keys:\n  dev   k-1\n  prod  k-2\n";
        assert_eq!(key_of_dev(printed).as_deref(), Some("k-1"));
        assert_eq!(key_of_dev("nothing"), None);
    }

    #[test]
    fn adds_up_what_was_lost() {
        let log = r#"{"level":"WARN","fields":{"message":"a","lost":7}}
            {"level":"WARN","fields":{"message":"b"}}
            {"level":"WARN","fields":{"message":"a","lost":3}}
            cut off"#;
        assert_eq!(lost(log), 10.0);
    }
}
