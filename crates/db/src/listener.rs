//! A connection that hears what others `NOTIFY`.

use std::sync::Arc;

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;
use tokio_postgres::{AsyncMessage, Client};

use crate::{Error, error, tls};

/// A connection of its own that listens on one channel. It needs a session that
/// stays: a direct connection, or a pooler in session mode.
pub struct Listener {
    client: Client,
    heard: Arc<Notify>,
}

impl Listener {
    /// Connects and listens. `channel` must be a plain SQL name.
    ///
    /// # Errors
    /// When the server cannot be reached or does not let us listen.
    pub async fn connect(url: &SecretString, channel: &str) -> Result<Self, Error> {
        let heard = Arc::new(Notify::new());
        let hear = {
            let said = Said(Arc::clone(&heard));
            move |message| {
                if matches!(message, AsyncMessage::Notification(_)) {
                    said.0.notify_one();
                }
            }
        };
        let client = tls::connect_hearing(url.expose_secret(), hear)
            .await
            .map_err(|cause| Error::Unavailable(error::describe(&cause)))?;
        client
            .batch_execute(&format!("LISTEN {channel}"))
            .await
            .map_err(error::from_driver)?;
        Ok(Self { client, heard })
    }

    /// Waits until something was heard since this was last called, or the
    /// connection has ended.
    pub async fn heard(&self) {
        self.heard.notified().await;
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// Also says so when the connection's task lets go of it.
struct Said(Arc<Notify>);

impl Drop for Said {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}
