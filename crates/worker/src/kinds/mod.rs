//! The kinds of job that there are, and the schedules that every installation has.

mod clean_jobs;
mod clean_records;
mod end_jobs;
mod keep_alive;
mod sweep;
mod sync;

use std::num::NonZeroU32;
use std::sync::Arc;

use linkspan_jobs::{Error, Kind, NewJob, schedules};
use linkspan_shared::Core;
use linkspan_syncs::Functions;

use crate::Registry;

/// How old what is done may become.
#[derive(Debug, Clone, Copy)]
pub struct Retention {
    /// Days that finished jobs are kept.
    pub finished_days: u32,
    /// Days that dead jobs are kept.
    pub dead_days: u32,
    /// Days without a change after which a record is pruned.
    pub prune_records_after_days: Option<NonZeroU32>,
    /// Days without a batch after which a stream of records is deleted.
    pub delete_records_after_days: Option<NonZeroU32>,
}

/// Every kind. Syncs find what they run in `functions`.
#[must_use]
pub fn registry(core: &Core, retention: Retention, functions: Arc<dyn Functions>) -> Registry {
    let registry = Registry::new();
    let registry = keep_alive::register(registry, core.clone());
    let registry = sweep::register(registry, core.clone());
    let registry = end_jobs::register(registry, core.clone());
    let registry = clean_records::register(registry, core.clone(), retention);
    let registry = sync::register(registry, core.clone(), functions);
    clean_jobs::register(registry, core.clone(), retention)
}

/// Makes the schedules that every installation has, or brings them up to date.
///
/// # Errors
/// When the database fails.
pub async fn schedule(core: &Core) -> Result<(), Error> {
    ensure(core, keep_alive::KeepAlive, keep_alive::EVERY).await?;
    ensure(core, sweep::Sweep, sweep::EVERY).await?;
    ensure(core, clean_records::CleanRecords, clean_records::EVERY).await?;
    ensure(core, clean_jobs::CleanJobs, clean_jobs::EVERY).await?;
    // Today's partition is needed before the hour is over.
    let first = NewJob::new(&clean_jobs::CleanJobs)?.unique_key("jobs.clean: first");
    linkspan_jobs::enqueue(&mut *core.db.conn().await?, &[first]).await?;
    Ok(())
}

async fn ensure<K: Kind>(core: &Core, payload: K, every: &str) -> Result<(), Error> {
    let mut conn = core.db.conn().await?;
    let job = NewJob::new(&payload)?.group("system");
    schedules::create(&mut conn, K::NAME, every, &job).await?;
    Ok(())
}
