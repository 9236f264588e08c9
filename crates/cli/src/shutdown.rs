//! Waiting to be told to stop.

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

/// Completes on Ctrl-C, or on the signal that a service manager sends.
///
/// # Errors
/// When the signals cannot be listened for.
pub(crate) async fn requested() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
