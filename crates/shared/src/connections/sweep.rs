//! Clearing away flows, connect sessions and result channels that can no longer
//! be used.

use std::time::Duration;

use crate::{Core, Error, oauth_flows, popup_channels};

/// How often.
const EVERY: Duration = Duration::from_secs(600);

/// Sweeps until it is cancelled. Several servers may do so at once: each row is
/// deleted by one of them.
pub async fn run(core: Core) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        if let Err(error) = sweep(&core).await {
            tracing::warn!(%error, "expired flows could not be cleared away");
        }
    }
}

/// Sweeps once.
///
/// # Errors
/// When the database fails.
pub async fn sweep(core: &Core) -> Result<(), Error> {
    let mut conn = core.db.conn().await?;
    let swept = oauth_flows::sweep(&mut conn).await? + popup_channels::sweep(&mut conn).await?;
    if swept > 0 {
        tracing::debug!(swept, "expired flows, sessions and channels cleared away");
    }
    Ok(())
}
