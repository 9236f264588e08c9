//! Health, readiness and metrics of a process that serves.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use linkspan_monitor::{Metrics, Monitor, Probe};
use linkspan_server::Observer;
use linkspan_shared::Core;
use linkspan_worker::Lease;

/// A server, as its monitor sees it.
pub(crate) struct ServerProbe {
    pub(crate) core: Core,
    pub(crate) observer: Observer,
}

/// A worker, as its monitor sees it.
pub(crate) struct WorkerProbe {
    pub(crate) core: Core,
    /// Of the worker, once it has started.
    pub(crate) lease: Arc<OnceLock<Lease>>,
}

impl Probe for WorkerProbe {
    async fn ready(&self) -> Result<(), String> {
        ready(&self.core).await?;
        match self.lease.get() {
            Some(lease) => lease.is_held().map_err(|error| {
                tracing::warn!(%error, "not ready");
                error.to_string()
            }),
            None => Err("the worker has not started yet".to_owned()),
        }
    }

    fn observe(&self) {
        self.core.observe();
    }
}

impl Probe for ServerProbe {
    async fn ready(&self) -> Result<(), String> {
        ready(&self.core).await
    }

    fn observe(&self) {
        self.observer.observe();
    }
}

async fn ready(core: &Core) -> Result<(), String> {
    let answer = core.db.ping().await;
    answer.map_err(|error| {
        tracing::warn!(%error, "not ready");
        // The cause may name hosts, and whoever asks need not be of ours.
        "the database does not answer".to_owned()
    })
}

/// Records from now on; for the beginning of a process (see [`Metrics`]).
pub(crate) fn install(role: &'static str) -> Result<Metrics> {
    Ok(Metrics::install(env!("CARGO_PKG_VERSION"), role)?)
}

/// Starts a monitor where a setting says.
pub(crate) async fn start(
    bind: SocketAddr,
    setting: &str,
    metrics: Metrics,
    probe: impl Probe,
) -> Result<Monitor> {
    let monitor = Monitor::start(bind, metrics, probe).await;
    let monitor = monitor.with_context(|| {
        let variable = setting.replace('.', "_").to_uppercase();
        format!("{setting} (LINKSPAN_{variable}) must be an address that is free, or empty")
    })?;
    tracing::info!(address = %monitor.address(), "monitored");
    Ok(monitor)
}
