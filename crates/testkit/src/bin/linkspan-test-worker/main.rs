//! A worker process, to be killed and stopped: of the test kinds, or of the product's
//! own, whose syncs read from `linkspan_testkit::upstream`. It ends with its standard
//! input, by TERM as a worker does, or by whatever a test does to it.
#![allow(clippy::print_stdout, reason = "tests read it")]

mod breakpoints;

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use clap::Parser;
use linkspan_jobs::Waker;
use linkspan_shared::Core;
use linkspan_shared::assemble::assemble;
use linkspan_shared::config::Config;
use linkspan_shared::db::{Database, Settings as Pool};
use linkspan_shared::logs::WriterTask;
use linkspan_testkit::{upstream, workload};
use linkspan_worker::kinds::{self, Retention};
use linkspan_worker::{Registry, Settings};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
struct Arguments {
    /// Where its jobs are.
    #[arg(long)]
    database_url: String,
    /// Where it can listen.
    #[arg(long)]
    direct_url: Option<String>,
    #[arg(long, default_value_t = 10)]
    slots: usize,
    #[arg(long, default_value_t = 600)]
    lease_ms: u64,
    #[arg(long, default_value_t = 50)]
    poll_ms: u64,
    /// The file that says where to die.
    #[arg(long)]
    breakpoint: Option<PathBuf>,
    /// A file with the root key, for the product's own kinds. Without it the test
    /// kinds are run.
    #[arg(long)]
    root_key_file: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(file) = arguments.breakpoint {
        breakpoints::install(file);
    }
    let mut stop = signal(SignalKind::terminate())?;
    let db = Database::new(&Pool {
        url: arguments.database_url.clone().into(),
        max_connections: 8,
        timeout: Duration::from_secs(2),
    })?;
    let product = match &arguments.root_key_file {
        Some(file) => Some(core(&arguments.database_url, file).await?),
        None => None,
    };
    let (waker, registry) = match &product {
        Some((core, _)) => (core.jobs.clone(), kinds_of(core)),
        None => (Waker::new(), workload::registry(&db)),
    };
    let telling = tokio::spawn(waker.clone().tell_others(db.clone()));
    let worker = linkspan_worker::start(
        db.clone(),
        waker,
        registry,
        Settings {
            slots: arguments.slots,
            lease: Duration::from_millis(arguments.lease_ms),
            poll: Duration::from_millis(arguments.poll_ms),
            drain: Duration::from_millis(100),
            listen: arguments.direct_url.map(Into::into),
        },
    );
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    println!("working {} {}", worker.id(), clock.as_secs());
    std::thread::spawn(|| {
        // Whoever started it is gone.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
    stop.recv().await;
    worker.stop().await;
    telling.abort();
    Ok(())
}

/// What the product's kinds work with.
async fn core(database_url: &str, root_key_file: &Path) -> Result<(Core, WriterTask)> {
    let key = std::fs::read_to_string(root_key_file).context("the root key cannot be read")?;
    let settings = [
        ("LINKSPAN_DATABASE_URL", database_url),
        ("LINKSPAN_DATABASE_MAX_CONNECTIONS", "8"),
        ("LINKSPAN_VAULT_ROOT_KEYS", key.trim()),
    ];
    let pairs = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let config = Config::load(None, pairs)?;
    Ok(Box::pin(assemble(&config)).await?)
}

fn kinds_of(core: &Core) -> Registry {
    let retention = Retention {
        finished_days: 7,
        dead_days: 7,
        prune_records_after_days: None,
        delete_records_after_days: None,
    };
    kinds::registry(core, retention, Arc::new(upstream::natives(&core.db)))
}
