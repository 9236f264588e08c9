//! The popup's result channel (CONTRACT 2.2): a page opens a websocket, is told
//! an id, sends the popup off with it, and gets the flow's result here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use linkspan_api::popup::PopupMessage;
use linkspan_shared::token;
use tokio::sync::oneshot;

/// The websockets that wait for a flow's result, by the id they were told.
#[derive(Debug, Default)]
pub(crate) struct Channels {
    waiting: Mutex<HashMap<String, Channel>>,
}

#[derive(Debug)]
struct Channel {
    result: oneshot::Sender<PopupMessage>,
    /// The page that opened the websocket, if the browser named it.
    origin: Option<String>,
    /// Whether a flow has named the channel: it belongs to the first that does.
    is_bound: bool,
}

/// A flow named a channel that is not there, or not free.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NotFree;

impl Channels {
    /// Opens a channel for a page and gives the id that names it: 128 random
    /// bits, good for one flow.
    pub(crate) fn open(
        &self,
        origin: Option<String>,
    ) -> Result<(String, oneshot::Receiver<PopupMessage>), token::NoRandomness> {
        let id = token::random_hex::<16>()?;
        let (result, receiver) = oneshot::channel();
        let channel = Channel {
            result,
            origin,
            is_bound: false,
        };
        self.lock().insert(id.clone(), channel);
        Ok((id, receiver))
    }

    /// Binds a channel to the flow that names it first.
    pub(crate) fn bind(&self, id: &str) -> Result<(), NotFree> {
        match self.lock().get_mut(id) {
            Some(channel) if !channel.is_bound => {
                channel.is_bound = true;
                Ok(())
            }
            _ => Err(NotFree),
        }
    }

    /// The origin of the page that waits on a channel.
    pub(crate) fn origin(&self, id: &str) -> Option<String> {
        self.lock().get(id)?.origin.clone()
    }

    /// Sends a flow's result to the page that waits for it, if it still does.
    pub(crate) fn send(&self, id: &str, message: PopupMessage) {
        if let Some(channel) = self.lock().remove(id) {
            // The page may have gone in this moment; nobody waits then.
            let _ = channel.result.send(message);
        }
    }

    /// Forgets a channel whose websocket has closed.
    pub(crate) fn close(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Forgets every channel, so that their websockets close: a server that
    /// stops does not wait for pages that may wait for minutes.
    pub(crate) fn close_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Channel>> {
        // Each change is one map operation, so a panic elsewhere leaves the
        // map whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use linkspan_api::popup::PopupError;

    use super::*;

    fn failure() -> PopupMessage {
        PopupMessage::Error {
            provider_config_key: "demo".into(),
            connection_id: String::new(),
            error_type: PopupError::CallbackErr,
            error_desc: "refused".into(),
        }
    }

    #[tokio::test]
    async fn a_channel_serves_one_flow_and_one_result() {
        let channels = Channels::default();
        let (id, result) = channels.open(Some("https://app.example".into())).unwrap();
        assert_eq!(id.len(), 32);
        assert_eq!(channels.bind("another"), Err(NotFree));
        assert_eq!(channels.bind(&id), Ok(()));
        assert_eq!(channels.bind(&id), Err(NotFree), "a second flow");
        assert_eq!(channels.origin(&id).as_deref(), Some("https://app.example"));
        channels.send(&id, failure());
        assert_eq!(result.await.unwrap(), failure());
        assert_eq!(channels.bind(&id), Err(NotFree), "used up");
    }

    #[test]
    fn a_closed_channel_is_forgotten() {
        let channels = Channels::default();
        let (id, _result) = channels.open(None).unwrap();
        channels.close(&id);
        assert_eq!(channels.bind(&id), Err(NotFree));
        assert!(channels.lock().is_empty());
    }
}
