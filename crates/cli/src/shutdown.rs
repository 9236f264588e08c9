//! Waiting to be told to stop.

use std::io::{self, IsTerminal as _};

use anyhow::{Context, Result};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears Ctrl-C, the signal that a service manager sends, and the end of the
/// terminal.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Option<Signal>,
}

impl Stop {
    /// Listens from now on: what comes before anybody waits for it is kept.
    ///
    /// # Errors
    /// When the system does not let signals be listened for.
    pub(crate) fn listen() -> Result<Self> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        // Away from a terminal somebody may have had it ignored (`nohup`), and
        // listening would undo that.
        let interactive = io::stdin().is_terminal() && io::stdout().is_terminal();
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: interactive.then(|| on(SignalKind::hangup())).transpose()?,
        })
    }

    /// Completes once with each signal.
    pub(crate) async fn requested(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}
