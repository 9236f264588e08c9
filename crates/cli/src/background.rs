//! What a server and a worker do besides their work, until they are told to stop.

use linkspan_shared::connections::{refresh, seal};
use linkspan_shared::{Core, catalogue};
use tokio::task::JoinSet;

/// The tasks beside a server or a worker.
pub(crate) struct Background {
    core: Core,
    tasks: JoinSet<()>,
}

impl Background {
    /// Starts them.
    pub(crate) fn start(core: Core) -> Self {
        let mut tasks = JoinSet::new();
        tasks.spawn(seal::run(core.clone()));
        tasks.spawn(refresh::repeat_abandoned(core.clone()));
        tasks.spawn(core.jobs.clone().tell_others(core.db.clone()));
        tasks.spawn(catalogue::watch(core.clone()));
        Self { core, tasks }
    }

    /// Ends them, and waits until what providers gave is stored.
    pub(crate) async fn stop(mut self) {
        self.tasks.shutdown().await;
        let left = refresh::drain(&self.core).await;
        if left > 0 {
            tracing::error!(
                left,
                "refreshes were cut off: their connections may have to be authorised again"
            );
        }
    }
}
