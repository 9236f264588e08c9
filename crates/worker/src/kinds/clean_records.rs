//! Deletes the records of what is gone, and prunes and deletes what is old.

use std::time::Duration;

use linkspan_jobs::{Kind, Priority};
use linkspan_records::Store;
use linkspan_shared::Core;
use serde::{Deserialize, Serialize};

use super::Retention;
use crate::{Context, Failure, Registry};

pub(super) const EVERY: &str = "every minute";

/// Records, or streams of them, that are dealt with before it is looked whether
/// the run is to end.
const PAGE: u32 = 1_000;

/// Cleans once.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct CleanRecords;

impl Kind for CleanRecords {
    const NAME: &'static str = "records.clean";
    const RUN_LIMIT: Duration = Duration::from_secs(3_600);
    const PRIORITY: Priority = Priority::Low;
}

pub(super) fn register(registry: Registry, core: Core, retention: Retention) -> Registry {
    registry.with(move |CleanRecords, context| {
        let core = core.clone();
        async move { clean(&core, retention, &context).await }
    })
}

async fn clean(core: &Core, retention: Retention, context: &Context) -> Result<(), Failure> {
    let store = Store::of(core);
    store.clean(core).await?;
    let ago = |days: u32| chrono::Utc::now() - chrono::Days::new(days.into());
    if let Some(days) = retention.prune_records_after_days {
        let before = ago(days.get());
        while !context.is_ending() && store.prune_due(before, PAGE).await?.has_more {}
    }
    if let Some(days) = retention.delete_records_after_days {
        let before = ago(days.get());
        while !context.is_ending() && store.delete_due(before, PAGE).await? > 0 {}
    }
    Ok(())
}
