//! `linkspan dev`: the whole platform on this machine, in one process tree.

mod data_dir;
mod database;
mod demo_sync;
mod ready_file;
mod welcome;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use linkspan_monitor::{Metrics, Monitor};
use linkspan_shared::Core;
use linkspan_shared::assemble::{self, assemble};
use linkspan_shared::config::Config;
use linkspan_shared::tenancy::api_keys;
use linkspan_shared::tenancy::bootstrap;
use linkspan_shared::tenancy::environments::Environment;
use linkspan_shared::vault;
use linkspan_simulator::Simulator;
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use self::data_dir::DataDir;
use self::database::Database;
use self::ready_file::{Ready, ReadyFile};
use super::{migrate, server, worker};
use crate::background::Background;
use crate::monitor::{self, ServerProbe};
use crate::shutdown::Stop;
use crate::terminal::say;
use crate::{environment, logging};

/// Where the demo provider listens unless told otherwise; its template's
/// default.
const DEMO_PORT: u16 = 3005;
/// Where the monitor listens unless that is taken.
const MONITOR_PORT: u16 = 3004;

/// How to run everything.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Where the private Postgres and the keys are kept.
    #[arg(long, value_name = "DIR", default_value = ".linkspan")]
    data_dir: PathBuf,
    /// Write one JSON object here once everything answers: server_url,
    /// api_key, public_key, demo_url, database_url, monitor_url.
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
    /// The server's port.
    #[arg(long, default_value_t = 3003, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The demo provider's port.
    #[arg(long, default_value_t = DEMO_PORT, value_parser = clap::value_parser!(u16).range(1..))]
    demo_port: u16,
    /// The port of health, readiness and metrics [default: 3004, or a free one
    /// when that is taken].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    monitor_port: Option<u16>,
}

pub(crate) async fn run(file: Option<&Path>, args: Args) -> Result<()> {
    let mut stop = Stop::listen()?;
    let data = DataDir::open(&args.data_dir)?;
    let ready_file = args.ready_file.as_deref().map(ReadyFile::reserve);
    let ready_file = ready_file.transpose()?;
    let Some(database) = Database::start(&data, &mut stop).await? else {
        return Ok(());
    };
    let result = tokio::select! {
        () = stop.requested() => Ok(()),
        started = start(file, &args, &data, &database, ready_file) => match started {
            Ok(platform) => platform.run(&mut stop).await,
            Err(error) => Err(error),
        },
    };
    database.stop().await?;
    result
}

/// Everything that runs besides the database.
struct Platform {
    server: linkspan_server::Running,
    monitor: Monitor,
    demo: Simulator,
    core: Core,
    worker: linkspan_worker::Running,
    recorder: tokio::task::JoinHandle<()>,
    log_writer: linkspan_shared::logs::WriterTask,
}

async fn start(
    file: Option<&Path>,
    args: &Args,
    data: &DataDir,
    database: &Database,
    ready_file: Option<ReadyFile>,
) -> Result<Platform> {
    let config = configure(file, args, data, database)?;
    logging::start(&config)?;
    let metrics = monitor::install("dev")?;
    migrate::apply(&config).await?;
    let (core, log_writer) = assemble(&config).await.map_err(explain(data))?;
    let (environment, api_key) = first_key(&core, data).await?;
    let demo = start_demo(args, data).await?;
    let server = linkspan_server::start(core.clone(), &config).with_context(|| {
        let port = args.port;
        format!("the server cannot use port {port}; choose another with --port")
    })?;
    let worker = worker::start(&core, &config, demo_sync::functions(&core, &config)).await?;
    let recorder = tokio::spawn(demo_sync::record(core.clone(), environment.id));
    let probe = ServerProbe {
        core: core.clone(),
        observer: server.observer(),
    };
    let monitor = start_monitor(args, &config, metrics, probe).await?;
    let ready = Ready {
        server_url: without_slash(&config.server.public_url),
        api_key: api_key.expose_secret().to_owned(),
        public_key: environment.public_key.to_string(),
        demo_url: without_slash(demo.base_url()),
        database_url: database.url.clone(),
        monitor_url: format!("http://{}", monitor.address()),
    };
    say(ready.first_steps());
    // Last: whoever waits for it may go on at once.
    if let Some(file) = ready_file {
        file.write(&ready)?;
    }
    Ok(Platform {
        server,
        monitor,
        demo,
        core,
        worker,
        recorder,
        log_writer,
    })
}

fn without_slash(url: &Url) -> String {
    url.as_str().trim_end_matches('/').to_owned()
}

/// What development means: everything on loopback, and loopback allowed.
fn configure(
    file: Option<&Path>,
    args: &Args,
    data: &DataDir,
    database: &Database,
) -> Result<Config> {
    let allow = match environment::variable("LINKSPAN_NET_ALLOW") {
        Some(more) => format!("loopback,{more}"),
        None => "loopback".to_owned(),
    };
    let mut overrides = vec![
        ("LINKSPAN_DATABASE_URL", database.url.clone()),
        ("LINKSPAN_SERVER_BIND", format!("127.0.0.1:{}", args.port)),
        ("LINKSPAN_NET_ALLOW", allow),
    ];
    if database.is_private() {
        // What is set for another database must not get this one's tables.
        overrides.push(("LINKSPAN_DATABASE_DIRECT_URL", String::new()));
        overrides.push(("LINKSPAN_RECORDS_DATABASE_URL", String::new()));
        overrides.push(("LINKSPAN_LOGS_DATABASE_URL", String::new()));
    }
    let mut set_default = |name, value: String| {
        if environment::variable(name).is_none() {
            overrides.push((name, value));
        }
    };
    set_default(
        "LINKSPAN_SERVER_PUBLIC_URL",
        format!("http://localhost:{}", args.port),
    );
    set_default("LINKSPAN_LOGS_LEVEL", "warn".to_owned());
    set_default(
        "LINKSPAN_VAULT_ROOT_KEYS",
        data.root_key()?.expose_secret().to_owned(),
    );
    environment::config(file, &overrides)
}

/// Says what to do when the database was made with another root key.
fn explain(data: &DataDir) -> impl Fn(assemble::Error) -> anyhow::Error {
    use vault::Error::{MissingRootKey, WrongRootKey};
    move |error| {
        let of_others = matches!(
            &error,
            assemble::Error::Vault(cause)
                if matches!(cause.cause(), MissingRootKey { .. } | WrongRootKey { .. })
        );
        let error = anyhow::Error::new(error);
        if !of_others {
            return error;
        }
        error.context(format!(
            "the database and the keys in {} do not belong together: use the --data-dir that \
             the database was made with, another database, or set LINKSPAN_VAULT_ROOT_KEYS",
            data.root().display()
        ))
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
        // A later version may know more scopes than the one that made the key.
        let scopes = linkspan_api::Scopes::all();
        if caller.scopes != scopes {
            let mut conn = core.db.conn().await?;
            api_keys::set_scopes(&mut conn, caller.environment.id, &key, scopes).await?;
        }
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

async fn start_demo(args: &Args, data: &DataDir) -> Result<Simulator> {
    let settings = linkspan_simulator::Settings {
        bind: ([127, 0, 0, 1], args.demo_port).into(),
        state_file: Some(data.path("demo.json")),
        ..linkspan_simulator::Settings::default()
    };
    Simulator::start(settings).await.map_err(|error| {
        let port = args.demo_port;
        let context = match error.kind() {
            ErrorKind::AddrInUse => {
                format!("the demo provider cannot use port {port}; choose another with --demo-port")
            }
            _ => "the demo provider cannot start".to_owned(),
        };
        anyhow::Error::new(error).context(context)
    })
}

/// Listens where an option or a setting says. Otherwise a port that is taken is
/// no reason not to start: another one will do, and the ready file has it.
async fn start_monitor(
    args: &Args,
    config: &Config,
    metrics: Metrics,
    probe: ServerProbe,
) -> Result<Monitor> {
    let loopback = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    if let Some(port) = args.monitor_port {
        let monitor = Monitor::start(loopback(port), metrics, probe).await;
        return monitor.with_context(|| {
            format!("the monitor cannot use port {port}; choose another with --monitor-port")
        });
    }
    if let Some(bind) = config.server.monitor_bind {
        return monitor::start(bind, "server.monitor_bind", metrics, probe).await;
    }
    let is_free = TcpListener::bind(loopback(MONITOR_PORT)).is_ok();
    let port = if is_free { MONITOR_PORT } else { 0 };
    let monitor = Monitor::start(loopback(port), metrics, probe).await;
    monitor.context("the monitor cannot start; choose a port with --monitor-port")
}

impl Platform {
    async fn run(self, stop: &mut Stop) -> Result<()> {
        let background = Background::start(self.core);
        let stopping = async {
            stop.requested().await;
            say("\nStopping…");
        };
        server::serve_until(self.server, Some(&self.monitor), stopping).await?;
        self.recorder.abort();
        self.worker.stop().await;
        background.stop().await;
        self.demo.stop().await;
        server::finish(self.log_writer).await;
        Ok(())
    }
}
