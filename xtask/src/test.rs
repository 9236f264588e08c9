//! `cargo xtask test`: every test there is, with what they need brought along.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use linkspan_localdb::{Durability, LocalPostgres, Options};
use tokio::process::Command;
use url::Url;

use crate::pgbouncer::PgBouncer;
use crate::programs;
use crate::stage::Stages;
use crate::workspace;

/// Where tests connect as the app does: the server, or a pooler before it.
const APP_URL: &str = "LINKSPAN_TEST_DATABASE_URL";
/// Where tests make and drop databases: always the server itself.
const ADMIN_URL: &str = "LINKSPAN_TEST_DATABASE_ADMIN_URL";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Put a real PgBouncer in transaction mode before Postgres.
    #[arg(long)]
    pgbouncer: bool,
    /// Run only the tests whose name contains this.
    filter: Option<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let begun = Instant::now();
    programs::check_node()?;
    let chromium = programs::CHROMIUM.find_or_install()?;
    let pgbouncer = match arguments.pgbouncer {
        true => Some(programs::PGBOUNCER.find_or_install()?),
        false => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run_stages(arguments, &chromium, pgbouncer.as_deref()))?;
    println!(
        "\nAll tests passed in {:.0} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(())
}

/// However the stages end, what was started for them is stopped.
async fn run_stages(
    arguments: &Arguments,
    chromium: &Path,
    pgbouncer: Option<&Path>,
) -> Result<()> {
    let mut stages = Stages::new()?;
    let target = workspace::target()?;
    let databases = Databases::open(&target, pgbouncer).await?;
    let passed = rust_tests(&mut stages, arguments, &databases).await;
    let passed = match passed {
        Ok(()) => client_tests(&mut stages, arguments, &databases, &target, chromium).await,
        failed => failed,
    };
    passed.and(databases.close().await)
}

async fn rust_tests(
    stages: &mut Stages,
    arguments: &Arguments,
    databases: &Databases,
) -> Result<()> {
    let build = ["build", "--workspace", "--bin", "linkspan"];
    stages.run("Build the program", cargo().args(build)).await?;
    stages
        .run(
            "Build the tests",
            cargo().args(["test", "--workspace", "--no-run"]),
        )
        .await?;
    let mut tests = cargo();
    tests.args(["test", "--workspace"]).args(&arguments.filter);
    stages
        .run("Rust tests", databases.told_to(&mut tests))
        .await
}

/// The published npm clients against the program, in Node and in Chromium.
async fn client_tests(
    stages: &mut Stages,
    arguments: &Arguments,
    databases: &Databases,
    target: &Path,
    chromium: &Path,
) -> Result<()> {
    let clients = workspace::root().join("tests/clients");
    if !installed(&clients) {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"])
            .current_dir(&clients);
        stages.run("Published npm clients", &mut npm).await?;
    }
    let mut node = Command::new("node");
    node.args(["--test", "--test-reporter=spec"])
        .current_dir(&clients);
    node.args(
        arguments
            .filter
            .iter()
            .map(|filter| format!("--test-name-pattern={filter}")),
    );
    node.env("LINKSPAN_TEST_BIN", target.join("debug/linkspan"))
        .env("LINKSPAN_TEST_CHROMIUM", chromium);
    stages
        .run("Client and browser tests", databases.told_to(&mut node))
        .await
}

fn cargo() -> Command {
    Command::from(workspace::cargo())
}

/// Whether `npm ci` ran since the lock file changed.
pub(crate) fn installed(package: &Path) -> bool {
    let changed = |path: &str| {
        package
            .join(path)
            .metadata()
            .and_then(|found| found.modified())
    };
    match (
        changed("node_modules/.package-lock.json"),
        changed("package-lock.json"),
    ) {
        (Ok(installed), Ok(locked)) => installed >= locked,
        _ => false,
    }
}

/// The servers that the tests talk to; those that were started here end with
/// this value. Fields drop in order: the pooler before what it points at.
pub(crate) struct Databases {
    pooler: Option<PgBouncer>,
    server: Option<LocalPostgres>,
    admin: Url,
    app: Url,
}

impl Databases {
    /// The server that the environment names, else one of our own.
    pub(crate) async fn open(target: &Path, pgbouncer: Option<&Path>) -> Result<Self> {
        let named = url_in_environment(APP_URL)?;
        let (server, app) = match named {
            Some(app) => (None, app),
            None => {
                let server = start_postgres(target)?;
                let url = server.url("postgres").parse()?;
                (Some(server), url)
            }
        };
        let admin = url_in_environment(ADMIN_URL)?.unwrap_or_else(|| app.clone());
        let Some(program) = pgbouncer else {
            return Ok(Self {
                pooler: None,
                server,
                admin,
                app,
            });
        };
        let log = target.join("test-pgbouncer.log");
        let pooler = PgBouncer::start(program, &admin, &log).await?;
        println!(
            "PgBouncer in transaction mode, its log in {}",
            log.display()
        );
        let app = pooler.url.clone();
        Ok(Self {
            pooler: Some(pooler),
            server,
            admin,
            app,
        })
    }

    pub(crate) fn told_to<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command
            .env(APP_URL, self.app.as_str())
            .env(ADMIN_URL, self.admin.as_str())
    }

    pub(crate) async fn close(self) -> Result<()> {
        if let Some(pooler) = self.pooler {
            pooler.stop().await?;
        }
        self.server.map_or(Ok(()), |server| Ok(server.stop()?))
    }
}

/// A new one each time: nothing of an earlier run, perhaps a killed one, can
/// have a say in this one.
fn start_postgres(target: &Path) -> Result<LocalPostgres> {
    let data_dir: PathBuf = target.join("test-postgres");
    linkspan_localdb::remove(&data_dir)?;
    let options = Options {
        cache_dir: Some(target.join("postgres-binaries")),
        search_path: std::env::var_os("PATH"),
        durability: Durability::TestOnly,
        // Each test has a database and a pool of its own.
        max_connections: 500,
        ..Options::new(data_dir)
    };
    let server = LocalPostgres::start(&options, &|text| println!("{text}"))?;
    println!("Postgres {} on port {}", server.major(), server.port());
    Ok(server)
}

fn url_in_environment(name: &str) -> Result<Option<Url>> {
    let Some(text) = std::env::var(name).ok().filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .with_context(|| format!("{name} is not a URL"))
}
