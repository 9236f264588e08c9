//! Telling workers that there may be something to do.
//!
//! A worker in this process is told at once, and those of other processes by a
//! `NOTIFY` of its own connection a moment later: one for all that was enqueued
//! meanwhile. Inside the enqueuing transactions it would halve how many of them
//! commit in a second, since Postgres lets them commit one after the other.
//! Whoever hears nothing looks all the same, a little later.

use std::sync::Arc;
use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use linkspan_db::{Connection, Database};
use tokio::sync::Notify;

/// The channel of `NOTIFY`.
pub const CHANNEL: &str = "linkspan_jobs";
/// At most one `NOTIFY` in this time.
const DEBOUNCE: Duration = Duration::from_millis(10);
/// After one that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Wakes the workers. Cheap to clone; a worker in the same process waits on a
/// clone.
#[derive(Debug, Clone, Default)]
pub struct Waker(Arc<Signals>);

#[derive(Debug, Default)]
struct Signals {
    here: Notify,
    keeper: Notify,
    elsewhere: Notify,
}

impl Waker {
    /// One that nobody listens to yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// To be called after the commit of what enqueued, cancelled or scheduled
    /// something. Never waits.
    pub fn wake(&self) {
        self.wake_here();
        self.0.elsewhere.notify_one();
    }

    /// Wakes the worker of this process alone: it was told from elsewhere.
    pub fn wake_here(&self) {
        self.0.here.notify_one();
        self.0.keeper.notify_one();
    }

    /// Wakes the workers of other processes alone.
    pub fn wake_elsewhere(&self) {
        self.0.elsewhere.notify_one();
    }

    /// Waits to be woken; once woken before, not at all.
    pub async fn woken(&self) {
        self.0.here.notified().await;
    }

    /// The same for the one who makes due jobs ready: whoever claims may have no
    /// time to pass it on.
    pub async fn keeper_woken(&self) {
        self.0.keeper.notified().await;
    }

    /// Tells other processes, until it is cancelled. One task in each process
    /// that enqueues.
    pub async fn tell_others(self, db: Database) {
        loop {
            self.0.elsewhere.notified().await;
            let told = async { tell(&mut *db.conn().await?).await };
            if let Err(error) = told.await {
                tracing::debug!(%error, "workers were not woken; trying again");
                self.0.elsewhere.notify_one();
                tokio::time::sleep(RETRY).await;
            }
            tokio::time::sleep(DEBOUNCE).await;
        }
    }
}

/// Tells the workers of all processes at once, without a [`Waker`].
///
/// # Errors
/// When the database fails.
pub async fn tell(conn: &mut Connection) -> Result<(), linkspan_db::Error> {
    Ok(conn.batch_execute(&format!("NOTIFY {CHANNEL}")).await?)
}
