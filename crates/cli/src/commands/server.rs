//! `linkspan server`.

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use linkspan_monitor::Monitor;
use linkspan_shared::assemble::assemble;
use linkspan_shared::logs::WriterTask;

use crate::background::Background;
use crate::monitor::{self, ServerProbe};
use crate::shutdown::Stop;
use crate::{environment, files, logging};

/// How long stopping waits for the last operations to be logged.
const FINISH: Duration = Duration::from_secs(10);

pub(crate) async fn run(file: Option<&Path>) -> Result<()> {
    let config = environment::config(file, &[])?;
    logging::start(&config)?;
    files::raise();
    // Before anything that counts.
    let bind = config.server.monitor_bind;
    let metrics = bind.map(|_| monitor::install("server")).transpose()?;
    let mut stop = Stop::listen()?;
    let (core, log_writer) = assemble(&config).await?;
    let server = linkspan_server::start(core.clone(), &config)
        .context("server.bind (LINKSPAN_SERVER_BIND) must be an address that is free")?;
    let monitor = match bind.zip(metrics) {
        Some((bind, metrics)) => {
            let probe = ServerProbe {
                core: core.clone(),
                observer: server.observer(),
            };
            Some(monitor::start(bind, "server.monitor_bind", metrics, probe).await?)
        }
        None => None,
    };
    tracing::info!(address = %server.address(), "listening");
    let background = Background::start(core);
    let served = serve_until(server, monitor.as_ref(), stop.requested()).await;
    // Also when serving failed: what is held for storing is stored.
    background.stop().await;
    drop(monitor);
    finish(log_writer).await;
    served
}

/// Serves until `stop` completes, then lets the requests under way finish.
pub(super) async fn serve_until(
    server: linkspan_server::Running,
    monitor: Option<&Monitor>,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    let stopper = server.stopper();
    let stopping = async {
        stop.await;
        if let Some(monitor) = monitor {
            monitor.stopping();
        }
        tracing::info!("finishing the requests under way");
        stopper.stop().await;
    };
    tokio::select! {
        served = server.serve() => Ok(served?),
        () = stopping => Ok(()),
    }
}

/// Stores what is left to log, within reason.
pub(super) async fn finish(log_writer: WriterTask) {
    if tokio::time::timeout(FINISH, log_writer.finish())
        .await
        .is_err()
    {
        tracing::warn!("some operations may not be logged: storing them took too long");
    }
}
