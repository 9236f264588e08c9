//! Clears away flows, sessions, channels and events that are no longer of use.

use std::time::Duration;

use linkspan_jobs::{Kind, Priority};
use linkspan_shared::Core;
use linkspan_shared::connections::sweep;
use serde::{Deserialize, Serialize};

use crate::{Failure, Registry};

pub(super) const EVERY: &str = "every 10 minutes";

/// Clears away once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sweep;

impl Kind for Sweep {
    const NAME: &'static str = "sweep";
    const RUN_LIMIT: Duration = Duration::from_secs(600);
    const MAX_ATTEMPTS: u16 = 2;
    const PRIORITY: Priority = Priority::Low;
}

pub(super) fn register(registry: Registry, core: Core) -> Registry {
    registry.with(move |Sweep, _| {
        let core = core.clone();
        async move {
            sweep::sweep(&core).await?;
            Ok::<_, Failure>(())
        }
    })
}
