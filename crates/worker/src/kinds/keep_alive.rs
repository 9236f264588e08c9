//! Fetches the credentials of connections that nobody uses (CONTRACT 2.8).

use std::time::Duration;

use linkspan_jobs::Kind;
use linkspan_shared::Core;
use linkspan_shared::connections::keep_alive::{self, Report};
use serde::{Deserialize, Serialize};

use crate::{Failure, Registry};

/// How often the background looks for what is due (CONTRACT 2.8).
pub(super) const EVERY: &str = "every 10 minutes";

/// Looks for connections that are due, and refreshes or verifies them. Each is
/// claimed for an hour in its own row, so that a run that is cut off loses none.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeepAlive;

impl Kind for KeepAlive {
    const NAME: &'static str = "connections.keep_alive";
    const RUN_LIMIT: Duration = Duration::from_secs(3_600);
    /// The next one is not far.
    const MAX_ATTEMPTS: u16 = 2;
}

pub(super) fn register(registry: Registry, core: Core) -> Registry {
    registry.with(move |KeepAlive, _| {
        let core = core.clone();
        async move {
            let report = keep_alive::keep_alive(&core).await?;
            if report != Report::default() {
                tracing::info!(?report, "unused connections kept alive");
            }
            Ok::<_, Failure>(())
        }
    })
}
