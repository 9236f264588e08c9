//! A server process that may be killed, stopped and started again.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// How to run the program.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Program {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .env_clear()
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// Runs it to its end, and gives what it printed.
    pub(crate) async fn read(&self, arguments: &[&str]) -> Result<String> {
        let output = self.command(arguments).output().await?;
        if !output.status.success() {
            bail!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(String::from_utf8(output.stdout)?)
    }
}

/// The demo provider's template, by which the process says its name to the provider.
fn template(name: &str) -> String {
    let token_url = "${integrationConfig.baseUrl}/oauth/token";
    DEMO.replace(token_url, &format!("{token_url}/{name}"))
}

const DEMO: &str = include_str!("../../../../../providers/demo.yaml");

/// A running server. It ends with this value.
pub(crate) struct Server {
    program: Program,
    breakpoint: PathBuf,
    child: Child,
    output: JoinHandle<()>,
    pub(crate) base_url: String,
}

impl Server {
    pub(crate) async fn start(program: &Program, folder: &Path, name: &str) -> Result<Self> {
        let breakpoint = folder.join(name);
        let mut program = program.clone();
        let shown = breakpoint.to_string_lossy().into_owned();
        program.variables.push(("LINKSPAN_TEST_BREAKPOINT", shown));
        let templates = folder.join(format!("{name}-templates"));
        fs::create_dir(&templates)?;
        fs::write(templates.join("demo.yaml"), template(name))?;
        let shown = templates.to_string_lossy().into_owned();
        program.variables.push(("LINKSPAN_PROVIDERS_DIR", shown));
        let (child, base_url, output) = launch(&program).await?;
        Ok(Self {
            program,
            breakpoint,
            child,
            output,
            base_url,
        })
    }

    /// What it is called at the provider.
    pub(crate) fn name(&self) -> &str {
        let name = self.breakpoint.file_name();
        name.and_then(|name| name.to_str()).unwrap_or_default()
    }

    /// Lets the process `kill` or `stop` itself at the next `point`.
    pub(crate) fn arm(&self, point: &str, what: &str) -> Result<()> {
        let whole = self.breakpoint.with_extension("new");
        fs::write(&whole, format!("{point} {what}"))?;
        Ok(fs::rename(whole, &self.breakpoint)?)
    }

    /// Whether the process has not come to the point yet.
    pub(crate) fn is_armed(&self) -> bool {
        self.breakpoint.exists()
    }

    pub(crate) fn disarm(&self) {
        // It may be gone by now, which is as good.
        let _ = fs::remove_file(&self.breakpoint);
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let id = self.child.id().context("the process is gone")?;
        let sent = std::process::Command::new("kill")
            .args([format!("-{name}"), id.to_string()])
            .status()?;
        if !sent.success() {
            bail!("cannot signal process {id}");
        }
        Ok(())
    }

    /// Kills the process, if it lives, and starts another in its place.
    pub(crate) async fn replace(&mut self) -> Result<()> {
        let _ = self.child.start_kill();
        self.child.wait().await?;
        self.output.abort();
        self.disarm();
        (self.child, self.base_url, self.output) = launch(&self.program).await?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.output.abort();
    }
}

async fn launch(program: &Program) -> Result<(Child, String, JoinHandle<()>)> {
    let mut child = program
        .command(&["server"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let stderr = child.stderr.take().context("no standard error")?;
    let mut lines = BufReader::new(stderr).lines();
    let listening = async {
        while let Some(line) = lines.next_line().await? {
            if let Some(address) = address(&line) {
                return Ok(address);
            }
            eprintln!("{line}");
        }
        bail!("a server ended at its start")
    };
    let base_url = tokio::time::timeout(PATIENCE, listening)
        .await
        .context("a server did not start in time")??;
    // Read on, so that it never waits for somebody to read.
    let output = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    Ok((child, base_url, output))
}

fn address(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let fields = &line["fields"];
    (fields["message"] == "listening")
        .then(|| Some(format!("http://{}", fields["address"].as_str()?)))?
}
