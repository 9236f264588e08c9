//! `linkspan worker`.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use linkspan_shared::Core;
use linkspan_shared::assemble::assemble;
use linkspan_shared::config::Config;
use linkspan_shared::db::Database;
use linkspan_syncs::Natives;
use linkspan_worker::kinds::{self, Retention};
use linkspan_worker::{Running, Settings};

use super::server::finish;
use crate::background::Background;
use crate::monitor::{self, WorkerProbe};
use crate::shutdown::Stop;
use crate::{environment, files, logging};

/// Database connections for claiming, settling and the heartbeat.
const CONNECTIONS: usize = 4;

pub(crate) async fn run(file: Option<&Path>) -> Result<()> {
    let config = environment::config(file, &[])?;
    logging::start(&config)?;
    files::raise();
    // Before anything that counts.
    let bind = config.worker.bind;
    let metrics = bind.map(|_| monitor::install("worker")).transpose()?;
    let mut stop = Stop::listen()?;
    let (core, log_writer) = assemble(&config).await?;
    let lease = Arc::new(OnceLock::new());
    // Before any job is taken, so that a port that is taken costs none.
    let monitor = match bind.zip(metrics) {
        Some((bind, metrics)) => {
            let probe = WorkerProbe {
                core: core.clone(),
                lease: Arc::clone(&lease),
            };
            Some(monitor::start(bind, "worker.bind", metrics, probe).await?)
        }
        None => None,
    };
    let worker = start(&core, &config, Natives::new()).await?;
    let _ = lease.set(worker.lease());
    let background = Background::start(core);
    stop.requested().await;
    if let Some(monitor) = &monitor {
        monitor.stopping();
    }
    tracing::info!("finishing the jobs under way");
    worker.stop().await;
    background.stop().await;
    drop(monitor);
    finish(log_writer).await;
    Ok(())
}

/// Starts to work off every kind of job. Syncs run the functions that are built in.
pub(super) async fn start(core: &Core, config: &Config, functions: Natives) -> Result<Running> {
    kinds::schedule(core)
        .await
        .context("the schedules cannot be written; has `linkspan migrate` been run?")?;
    let retention = Retention {
        finished_days: config.jobs.finished_days,
        dead_days: config.jobs.dead_days,
        prune_records_after_days: config.records.prune_after_days,
        delete_records_after_days: config.records.delete_after_days,
    };
    // Of its own, so that jobs that wait for a connection do not hold up the
    // worker's lease.
    let mut connections = config.control_database()?;
    connections.max_connections = CONNECTIONS;
    Ok(linkspan_worker::start(
        Database::new(&connections)?,
        core.jobs.clone(),
        kinds::registry(core, retention, Arc::new(functions)),
        Settings {
            slots: config.worker.slots,
            lease: config.worker.lease,
            poll: config.worker.poll,
            drain: config.worker.drain,
            listen: Some(config.direct_url()?.clone()),
        },
    ))
}
