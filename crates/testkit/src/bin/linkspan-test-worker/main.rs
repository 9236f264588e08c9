//! A worker process of the test kinds, to be killed and stopped. It ends with its
//! standard input, by TERM as a worker does, or by whatever a test does to it.
#![allow(clippy::print_stdout, reason = "tests read it")]

mod breakpoints;

use std::io::Read as _;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::Result;
use clap::Parser;
use linkspan_jobs::Waker;
use linkspan_shared::db::{Database, Settings as Pool};
use linkspan_testkit::workload;
use linkspan_worker::Settings;
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
}

#[tokio::main]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(file) = arguments.breakpoint {
        breakpoints::install(file);
    }
    let mut stop = signal(SignalKind::terminate())?;
    let db = Database::new(&Pool {
        url: arguments.database_url.into(),
        max_connections: 8,
        timeout: Duration::from_secs(2),
    })?;
    let waker = Waker::new();
    let telling = tokio::spawn(waker.clone().tell_others(db.clone()));
    let worker = linkspan_worker::start(
        db.clone(),
        waker,
        workload::registry(&db),
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
