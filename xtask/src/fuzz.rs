//! `cargo xtask fuzz`: requests made up from the OpenAPI document, by
//! schemathesis, against a server of their own. No answer may be a server error,
//! and each has a status, a content type and a body that the document describes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::workspace;

/// What pip installs; a later one generates other requests.
const SCHEMATHESIS: &str = "schemathesis==4.32.5";

const CHECKS: &str = "not_a_server_error,status_code_conformance,\
                      content_type_conformance,response_schema_conformance";

/// Operations that can delete what the caller's key belongs to: they come last.
const DELETING: [&str; 2] = ["delete_environment", "delete_api_key"];

/// How long the server may take to start, with its first database.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Requests made up for each operation, beside those that cover its schema.
    #[arg(long, default_value_t = 25)]
    examples: u32,
    /// What the requests are made up from; the same seed makes the same ones.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let schemathesis = schemathesis()?;
    workspace::run(workspace::cargo().args(["build", "--package", "linkspan-cli"]))?;
    let server = Server::start(&workspace::target()?)?;
    let deleting = DELETING.map(|id| format!("--exclude-operation-id={id}"));
    server.fuzz(&schemathesis, arguments, &deleting)?;
    let deleting = DELETING.map(|id| format!("--include-operation-id={id}"));
    server.fuzz(&schemathesis, arguments, &deleting)
}

/// The program, installed beside the other tools on first use.
fn schemathesis() -> Result<PathBuf> {
    let folder = workspace::target()?
        .join("tools")
        .join(SCHEMATHESIS.replace("==", "-"));
    let program = folder.join("bin/schemathesis");
    if program.is_file() {
        return Ok(program);
    }
    let python = Command::new("python3")
        .args(["-m", "venv", "--clear"])
        .arg(&folder)
        .status();
    if !python.is_ok_and(|status| status.success()) {
        bail!("`python3 -m venv` failed: install Python 3.10 or newer, with its venv module");
    }
    workspace::run(
        Command::new(folder.join("bin/pip"))
            .args(["install", "--quiet", "--disable-pip-version-check"])
            .arg(SCHEMATHESIS),
    )?;
    Ok(program)
}

/// `linkspan dev` on an empty database.
struct Server {
    process: Child,
    folder: PathBuf,
    url: String,
    api_key: String,
}

impl Server {
    fn start(target: &Path) -> Result<Self> {
        let folder = target.join("fuzz");
        if folder.exists() {
            fs::remove_dir_all(&folder).context("cannot empty target/fuzz")?;
        }
        fs::create_dir_all(&folder)?;
        let ready = folder.join("ready.json");
        let log = fs::File::create(folder.join("server.log"))?;
        let process = Command::new(target.join("debug/linkspan"))
            .arg("dev")
            .arg("--data-dir")
            .arg(folder.join("data"))
            .arg("--ready-file")
            .arg(&ready)
            .args(["--port", &free_port()?, "--demo-port", &free_port()?])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("cannot run linkspan dev")?;
        let mut server = Self {
            process,
            folder,
            url: String::new(),
            api_key: String::new(),
        };
        let begun = Instant::now();
        while !ready.is_file() {
            if server.process.try_wait()?.is_some() || begun.elapsed() > PATIENCE {
                bail!("linkspan dev did not start: see target/fuzz/server.log");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let facts: serde_json::Value = serde_json::from_slice(&fs::read(&ready)?)?;
        let text = |name: &str| facts[name].as_str().unwrap_or_default().to_owned();
        (server.url, server.api_key) = (text("server_url"), text("api_key"));
        Ok(server)
    }

    fn fuzz(&self, program: &Path, arguments: &Arguments, operations: &[String]) -> Result<()> {
        let mut command = Command::new(program);
        command
            .current_dir(&self.folder)
            .arg("run")
            .arg(workspace::root().join("docs/openapi.json"))
            .args(["--url", &self.url])
            .args([
                "--header",
                &format!("Authorization: Bearer {}", self.api_key),
            ])
            .args(["--checks", CHECKS])
            .args(["--phases", "examples,coverage,fuzzing"])
            .args(["--max-examples", &arguments.examples.to_string()])
            .args(["--seed", &arguments.seed.to_string()])
            // What these answer is the API's that is called.
            .args(["--exclude-path-regex", "^/proxy/"])
            .args(["--continue-on-failure", "--warnings", "off"])
            .args(["--request-timeout", "30"])
            .args(operations);
        let status = command.status().context("cannot run schemathesis")?;
        if !status.success() {
            let seed = arguments.seed;
            bail!(
                "schemathesis found failures with seed {seed}; causes are in target/fuzz/server.log"
            );
        }
        Ok(())
    }
}

/// A port that nothing listens on now.
fn free_port() -> Result<String> {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
    Ok(listener.local_addr()?.port().to_string())
}

impl Drop for Server {
    /// Ends the server as Ctrl-C would, so that its Postgres ends too.
    fn drop(&mut self) {
        let id = i32::try_from(self.process.id())
            .ok()
            .and_then(Pid::from_raw);
        if let Some(id) = id {
            // One that has ended already is what was wanted.
            let _ = kill_process(id, Signal::INT);
        }
        let _ = self.process.wait();
    }
}
