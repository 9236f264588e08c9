//! Clearing away flows, connect sessions, result channels and events that are no
//! longer of use.

use crate::{Core, Error, events, oauth_flows, popup_channels};

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
