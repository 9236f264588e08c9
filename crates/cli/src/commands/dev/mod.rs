//! `linkspan dev`: the whole platform on this machine, in one process tree.

mod data_dir;
mod welcome;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use linkspan_localdb::{DATABASE, LocalPostgres, Options};
use linkspan_shared::Core;
use linkspan_shared::assemble::assemble;
use linkspan_shared::config::Config;
use linkspan_shared::connections::sweep;
use linkspan_shared::tenancy::api_keys;
use linkspan_shared::tenancy::bootstrap;
use linkspan_shared::tenancy::environments::Environment;
use linkspan_simulator::Simulator;
use secrecy::{ExposeSecret, SecretString};

use self::data_dir::DataDir;
use self::welcome::Ready;
use super::{migrate, server};
use crate::{environment, logging, shutdown};

/// Where the demo provider listens unless told otherwise; its template's
/// default.
const DEMO_PORT: u16 = 3005;

/// How to run everything.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the private Postgres and the keys are kept.
    #[arg(long, value_name = "DIR", default_value = ".linkspan")]
    data_dir: PathBuf,
    /// Write one JSON object here once everything answers: server_url,
    /// api_key, public_key, demo_url, database_url.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// The server's port.
    #[arg(long, default_value_t = 3003)]
    port: u16,
    /// The demo provider's port.
    #[arg(long, default_value_t = DEMO_PORT)]
    demo_port: u16,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result<()> {
    // Asked for now, so that a Ctrl-C during the start is not lost.
    let stop = shutdown::requested();
    let mut stop = std::pin::pin!(stop);
    if let Some(path) = &args.ready_file {
        remove_stale(path)?;
    }
    let data = DataDir::open(&args.data_dir)?;
    let postgres = Database::start(&data).await?;
    let result = tokio::select! {
        stopped = &mut stop => stopped,
        started = start(file, &args, &data, &postgres) => match started {
            Ok(platform) => platform.run(&mut stop).await,
            Err(error) => Err(error),
        },
    };
    postgres.stop().await?;
    result
}

/// A file of an earlier run must not be taken for this one's.
fn remove_stale(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot replace {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// The database: one that the environment names, or a private one.
struct Database {
    url: String,
    private: Option<LocalPostgres>,
}

impl Database {
    async fn start(data: &DataDir) -> Result<Self> {
        if let Some(url) = environment::variable("LINKSPAN_DATABASE_URL") {
            println!("Using the Postgres that LINKSPAN_DATABASE_URL names.");
            return Ok(Self { url, private: None });
        }
        println!("Starting a private Postgres…");
        let mut options = Options::new(data.path("postgres"));
        options.search_path = environment::variable("PATH").map(Into::into);
        let postgres = tokio::task::spawn_blocking(move || {
            LocalPostgres::start(&options, &|doing| println!("  {doing}"))
        })
        .await??;
        Ok(Self {
            url: postgres.url(DATABASE),
            private: Some(postgres),
        })
    }

    async fn stop(self) -> Result<()> {
        if let Some(postgres) = self.private {
            tokio::task::spawn_blocking(move || postgres.stop()).await??;
        }
        Ok(())
    }
}

/// Everything that runs besides the database.
struct Platform {
    server: linkspan_server::Running,
    demo: Simulator,
    core: Core,
    log_writer: linkspan_shared::logs::WriterTask,
}

async fn start(
    file: Option<&Path>,
    args: &Args,
    data: &DataDir,
    database: &Database,
) -> Result<Platform> {
    let config = configure(file, args, data, database)?;
    logging::start(&config)?;
    migrate::apply(&config).await?;
    let (core, log_writer) = assemble(&config).await.map_err(explain(data))?;
    let (environment, api_key) = first_key(&core, data).await?;
    let demo = start_demo(args).await?;
    let server = server::start(&config, core.clone())?;
    let ready = Ready {
        server_url: config.server.public_url.as_str().trim_end_matches('/').to_owned(),
        api_key: api_key.expose_secret().to_owned(),
        public_key: environment.public_key.to_string(),
        demo_url: demo.base_url().as_str().trim_end_matches('/').to_owned(),
        database_url: database.url.clone(),
    };
    ready.announce(args.ready_file.as_deref())?;
    Ok(Platform {
        server,
        demo,
        core,
        log_writer,
    })
}

/// What development means: everything on loopback, and loopback allowed.
fn configure(
    file: Option<&Path>,
    args: &Args,
    data: &DataDir,
    database: &Database,
) -> Result<Config> {
    let mut overrides = vec![
        ("LINKSPAN_DATABASE_URL", database.url.clone()),
        ("LINKSPAN_SERVER_BIND", format!("127.0.0.1:{}", args.port)),
        ("LINKSPAN_NET_ALLOW", "loopback".to_owned()),
    ];
    let mut set_default = |name, value: String| {
        if environment::variable(name).is_none() {
            overrides.push((name, value));
        }
    };
    set_default("LINKSPAN_SERVER_PUBLIC_URL", format!("http://localhost:{}", args.port));
    set_default("LINKSPAN_LOGS_LEVEL", "warn".to_owned());
    set_default("LINKSPAN_VAULT_ROOT_KEYS", data.root_key()?.expose_secret().to_owned());
    environment::config(file, &overrides)
}

/// Says what to do when the database was made with another root key.
fn explain(data: &DataDir) -> impl Fn(linkspan_shared::assemble::Error) -> anyhow::Error {
    let path = data.path("").display().to_string();
    move |error| {
        let is_vault = matches!(error, linkspan_shared::assemble::Error::Vault(_));
        let error = anyhow::Error::new(error);
        if is_vault {
            error.context(format!(
                "the database and the keys in {path} do not belong together: \
                 use another --data-dir, or another database"
            ))
        } else {
            error
        }
    }
}

/// The `dev` environment with the key of the data directory: made at the first
/// start, reused at every later one.
async fn first_key(core: &Core, data: &DataDir) -> Result<(Environment, SecretString)> {
    let created = bootstrap::run(&core.db, &core.vault, "development").await?;
    if let Some(first) = created.and_then(|keys| keys.into_iter().next()) {
        data.store_api_key(&first.api_key)?;
        return Ok((first.environment, first.api_key));
    }
    if let Some(key) = data.api_key()?
        && let Some(caller) = core.authenticate(&key).await?
    {
        return Ok((caller.environment, key));
    }
    // The database is older than the data directory.
    let mut conn = core.db.conn().await?;
    let environments = Environment::all(&mut conn).await?;
    let Some(environment) = environments.into_iter().find(|e| !e.is_production) else {
        bail!("the database has no environment for development");
    };
    let scopes = linkspan_api::Scopes::all();
    let key = api_keys::create(&mut conn, environment.id, "linkspan dev", scopes).await?;
    data.store_api_key(&key)?;
    Ok((environment, key))
}

async fn start_demo(args: &Args) -> Result<Simulator> {
    let settings = linkspan_simulator::Settings {
        bind: ([127, 0, 0, 1], args.demo_port).into(),
        ..linkspan_simulator::Settings::default()
    };
    Simulator::start(settings).await.with_context(|| {
        format!(
            "the demo provider cannot listen on port {}; choose another with --demo-port",
            args.demo_port
        )
    })
}

impl Platform {
    async fn run(self, stop: impl Future<Output = Result<()>>) -> Result<()> {
        let sweeper = tokio::spawn(sweep::run(self.core));
        server::serve_until(self.server, stop).await?;
        println!("\nStopping…");
        sweeper.abort();
        let _ = tokio::time::timeout(Duration::from_secs(5), sweeper).await;
        self.demo.stop().await;
        server::finish(self.log_writer).await;
        Ok(())
    }
}
