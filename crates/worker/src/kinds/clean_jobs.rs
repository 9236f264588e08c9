//! Makes the partitions of finished jobs, and drops old ones.

use std::time::Duration;

use linkspan_jobs::{Kind, Priority, clean};
use linkspan_shared::Core;
use serde::{Deserialize, Serialize};

use super::Retention;
use crate::{Failure, Registry};

pub(super) const EVERY: &str = "every hour";

/// Cleans once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CleanJobs;

impl Kind for CleanJobs {
    const NAME: &'static str = "jobs.clean";
    const RUN_LIMIT: Duration = Duration::from_secs(600);
    const PRIORITY: Priority = Priority::Low;
}

pub(super) fn register(registry: Registry, core: Core, retention: Retention) -> Registry {
    registry.with(move |CleanJobs, _| {
        let core = core.clone();
        async move {
            let mut conn = core.db.conn().await.map_err(linkspan_jobs::Error::from)?;
            let Retention {
                finished_days,
                dead_days,
                ..
            } = retention;
            clean::clean(&mut conn, finished_days, dead_days).await?;
            Ok::<_, Failure>(())
        }
    })
}
