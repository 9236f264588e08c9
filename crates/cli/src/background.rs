//! What a server does besides answering, until it is told to stop.

use std::time::Duration;

use linkspan_shared::connections::{keep_alive, refresh, sweep};
use linkspan_shared::{Core, catalogue};
use tokio::task::JoinSet;

/// How long stopping waits for refreshes under way: longer than a provider may
/// take to answer.
const DRAIN: Duration = Duration::from_secs(25);

/// The tasks beside a server.
pub(crate) struct Background {
    core: Core,
    tasks: JoinSet<()>,
}

impl Background {
    /// Starts them.
    pub(crate) fn start(core: Core) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(sweep::run(core.clone()));
        tasks.spawn(keep_alive::run(core.clone()));
        tasks.spawn(catalogue::watch(core.clone()));
        Self { core, tasks }
    }

    /// Ends them, and waits until what providers gave is stored.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
        let left = refresh::drain(&self.core, DRAIN).await;
        if left > 0 {
            tracing::error!(
                left,
                "refreshes were cut off: their connections may have to be authorised again"
            );
        }
    }
}
