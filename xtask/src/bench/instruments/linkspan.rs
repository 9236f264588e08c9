//! Linkspan on a Postgres of its own, with accounts of an API.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use linkspan_localdb::LocalPostgres;
use serde_json::{Value, json};

use super::postgres;
use super::process::{Process, Usage, free_address};
use super::wrk::{Headers, Load};
use crate::bench::plan::Plan;
use crate::workspace;

/// A database that is migrated and has an account, and the program with what it
/// needs to use it.
pub(in super::super) struct Installation {
    program: PathBuf,
    variables: Vec<(&'static str, String)>,
    api_key: String,
    log: PathBuf,
    database: LocalPostgres,
}

/// A running server. Fields drop in order: the server before its database.
pub(in super::super) struct Linkspan {
    process: Process,
    address: SocketAddr,
    installation: Installation,
}

/// What has become of operations.
pub(in super::super) struct Operations {
    /// They are in the log.
    pub(in super::super) stored: f64,
    /// They were over the budget, and are in a count.
    pub(in super::super) counted: f64,
    /// They are nowhere.
    pub(in super::super) lost: f64,
}

impl Installation {
    /// Makes one from nothing.
    pub(in super::super) fn new(plan: &Plan) -> Result<Self> {
        let database = postgres::start(&plan.target)?;
        let mut new = Self {
            program: plan.program.clone(),
            variables: vec![
                (
                    "LINKSPAN_DATABASE_URL",
                    database.url(linkspan_localdb::DATABASE),
                ),
                ("LINKSPAN_NET_ALLOW", "loopback".to_owned()),
                ("LINKSPAN_LOGS_LEVEL", "warn".to_owned()),
                ("LINKSPAN_LOGS_FORMAT", "json".to_owned()),
                // Calls are counted, and none is refused.
                ("LINKSPAN_LIMITS_REQUESTS_PER_MINUTE", u32::MAX.to_string()),
            ],
            api_key: String::new(),
            log: plan.target.join("bench-linkspan.log"),
            database,
        };
        let root_key = new.read(&["keys", "generate"])?.trim().to_owned();
        new.variables.push(("LINKSPAN_VAULT_ROOT_KEYS", root_key));
        new.read(&["migrate"])?;
        let printed = new.read(&["admin", "bootstrap"])?;
        new.api_key = key_of_dev(&printed).context("bootstrap printed no key for `dev`")?;
        Ok(new)
    }

    pub(in super::super) fn database(&self) -> &LocalPostgres {
        &self.database
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn read(&self, arguments: &[&str]) -> Result<String> {
        workspace::read(self.command().args(arguments))
    }

    /// Runs the server; it may not listen yet.
    pub(in super::super) fn spawn(&self) -> Result<(Process, SocketAddr)> {
        let address = free_address()?;
        let mut command = self.command();
        command.arg("server");
        command.env("LINKSPAN_SERVER_BIND", address.to_string());
        let process = Process::start(&mut command, fs::File::create(&self.log)?)?;
        Ok((process, address))
    }
}

impl Linkspan {
    /// Starts a server, and waits until it listens.
    pub(in super::super) fn start(installation: Installation) -> Result<Self> {
        let (process, address) = installation.spawn()?;
        process.wait_for(address)?;
        Ok(Self {
            process,
            address,
            installation,
        })
    }

    /// Connects so many accounts of an API with a bearer key; their ids.
    pub(in super::super) fn connect(&self, accounts: usize) -> Result<Vec<String>> {
        let post =
            |path: &str, body: &Value| post(self.address, &self.installation.api_key, path, body);
        let integration = json!({ "unique_key": "bench", "provider": "private-api-bearer" });
        post("/integrations", &integration)?;
        let connect = |_| {
            let user = json!({ "end_user": { "id": "bench" } });
            let session = post("/connect/sessions", &user)?;
            let token = session["data"]["token"]
                .as_str()
                .context("no session token")?;
            let path = format!("/api-auth/api-key/bench?connect_session_token={token}");
            let connected = post(&path, &json!({ "apiKey": "key" }))?;
            let id = connected["connectionId"]
                .as_str()
                .context("no connection id")?;
            Ok(id.to_owned())
        };
        (0..accounts).map(connect).collect()
    }

    /// The headers of calls through the proxy to an upstream.
    pub(in super::super) fn headers(&self, connection: &str, upstream: SocketAddr) -> Headers {
        vec![
            self.authorization(),
            "Provider-Config-Key: bench".to_owned(),
            format!("Connection-Id: {connection}"),
            format!("Base-Url-Override: http://{upstream}"),
        ]
    }

    /// The header that carries the API key.
    pub(in super::super) fn authorization(&self) -> String {
        format!("Authorization: Bearer {}", self.installation.api_key)
    }

    /// A load of requests to a path.
    pub(in super::super) fn load(
        &self,
        path: &str,
        connections: usize,
        callers: Vec<Headers>,
    ) -> Load {
        Load {
            name: "linkspan".to_owned(),
            url: format!("http://{}{path}", self.address),
            callers,
            connections,
            usage: self.usage(),
            database: self.database_usage(),
        }
    }

    pub(in super::super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(in super::super) fn database(&self) -> &LocalPostgres {
        self.installation.database()
    }

    pub(in super::super) fn usage(&self) -> Usage {
        self.process.usage()
    }

    pub(in super::super) fn database_usage(&self) -> Option<Usage> {
        u32::try_from(self.database().pid()).ok().map(Usage::of)
    }

    /// Does what Postgres would do after a load, on the same processors, while
    /// the next is measured: millions of new rows are vacuumed, and written from
    /// its memory to the disk.
    pub(in super::super) fn settle_database(&self) -> Result<()> {
        let url = self.database().url(linkspan_localdb::DATABASE);
        for sql in ["VACUUM (ANALYZE) logs.operations", "CHECKPOINT"] {
            postgres::ask(&url, sql)?;
        }
        Ok(())
    }

    /// What has become of the operations of all calls so far. A rate that loses
    /// its logs must not pass for one that keeps them.
    pub(in super::super) fn operations(&self) -> Result<Operations> {
        let url = self.database().url(linkspan_localdb::DATABASE);
        let number = |sql: &str| -> Result<f64> {
            let text = postgres::ask(&url, sql)?;
            let number = text.parse();
            number.with_context(|| format!("{sql} printed {text:?}"))
        };
        Ok(Operations {
            stored: number("SELECT count(*) FROM logs.operations WHERE kind = 'proxy'")?,
            counted: number("SELECT coalesce(sum(successes), 0) FROM logs.counted_operations")?,
            lost: lost(&fs::read_to_string(&self.installation.log)?),
        })
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

/// A few requests do not deserve an HTTP client in this program.
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
