//! Clearing away flows, connect sessions, result channels and events that are no
//! longer of use, and sealing what is stored in plain sight.

use std::time::Duration;

use super::seal;
use crate::{Core, Error, events, oauth_flows, popup_channels};

/// How often.
const EVERY: Duration = Duration::from_secs(600);

/// Sweeps until it is cancelled. Several servers may do so at once: each row is
/// deleted by one of them.
pub async fn run(core: Core) {
    let mut every = tokio::time::interval(EVERY);
    let mut is_sealed = false;
    loop {
        every.tick().await;
        // Once: what is stored from now on is sealed, and who reads templates
        // again seals again.
        if !is_sealed {
            is_sealed = seal::all(&core).await;
        }
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
    let swept = oauth_flows::sweep(&mut conn).await?
        + popup_channels::sweep(&mut conn).await?
        + events::sweep(&mut conn).await?;
    if swept > 0 {
        tracing::debug!(
            swept,
            "expired flows, sessions, channels and events cleared away"
        );
    }
    Ok(())
}
