//! The popup's result channel (CONTRACT 2.2): a page opens a websocket, is told
//! an id, sends the popup off with it, and gets the flow's result here.
//!
//! The websocket may be in another process than the flow: they meet in the
//! database (`shared::popup_channels`), which a process looks into only while
//! pages wait for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use actix_web::web;
use linkspan_api::popup::PopupMessage;
use linkspan_shared::db::{self, Database};
use linkspan_shared::popup_channels::{self, Bound};
use linkspan_shared::{Error, token};
use tokio::sync::{Semaphore, oneshot};
use uuid::Uuid;

use crate::app::State;

/// How often a process with pages that wait asks for results that other
/// processes left: what a person who has just clicked does not notice.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long a page waits for its turn to be noted in the database.
const TURN: Duration = Duration::from_secs(5);

/// The websockets of this process that wait for a flow's result, by the hash of
/// the id that they were told.
#[derive(Debug)]
pub(crate) struct Channels {
    db: Database,
    /// Names this process to the others.
    holder: Uuid,
    waiting: Mutex<Waiting>,
    /// Those who open a channel, of whom nothing is known, get half of the
    /// database's connections at most.
    opening: Semaphore,
}

#[derive(Debug, Default)]
struct Waiting {
    pages: HashMap<Vec<u8>, oneshot::Sender<PopupMessage>>,
    /// Whether a task looks for results.
    is_watched: bool,
}

impl Channels {
    pub(crate) fn new(db: Database, connections: usize) -> Self {
        Self {
            db,
            opening: Semaphore::new((connections / 2).max(1)),
            holder: Uuid::new_v4(),
            waiting: Mutex::default(),
        }
    }

    /// Opens a channel for a page and gives the id that names it: 128 random
    /// bits, good for one flow.
    pub(crate) async fn open(
        &self,
        origin: Option<&str>,
    ) -> Result<(String, oneshot::Receiver<PopupMessage>), Error> {
        let id = token::random_hex::<16>()?;
        {
            let turn = tokio::time::timeout(TURN, self.opening.acquire()).await;
            let _turn = turn.map_err(|_| {
                db::Error::Unavailable("too many websockets are being opened".to_owned())
            })?;
            let mut conn = self.db.conn().await?;
            popup_channels::open(&mut conn, self.holder, &id, origin).await?;
        }
        let (result, receiver) = oneshot::channel();
        self.lock().pages.insert(token::hash(&id), result);
        Ok((id, receiver))
    }

    /// Binds a channel, wherever its websocket is, to the flow that names it
    /// first; `None` for a channel that is not there or not free.
    pub(crate) async fn bind(&self, id: &str) -> Result<Option<Bound>, Error> {
        let mut conn = self.db.conn().await?;
        popup_channels::bind(&mut conn, id).await
    }

    /// Sends a flow's result to the page that waits for it, if it still does,
    /// wherever its websocket is. A failure costs the page its result and the
    /// flow nothing, so it is logged here.
    pub(crate) async fn send(&self, id: &str, message: PopupMessage) {
        let page = self.lock().pages.remove(&token::hash(id));
        let done = match page {
            Some(page) => {
                // The page may have gone in this moment; nobody waits then.
                let _ = page.send(message);
                self.forget(id).await
            }
            None => self.leave(id, &message).await,
        };
        if let Err(error) = done {
            tracing::error!(%error, "a popup's result could not be passed on");
        }
    }

    async fn leave(&self, id: &str, message: &PopupMessage) -> Result<(), Error> {
        let mut conn = self.db.conn().await?;
        popup_channels::leave(&mut conn, id, message).await
    }

    async fn forget(&self, id: &str) -> Result<(), Error> {
        let mut conn = self.db.conn().await?;
        popup_channels::close(&mut conn, id).await
    }

    /// Forgets a channel whose websocket has closed.
    pub(crate) async fn close(&self, id: &str) {
        let was_waiting = self.lock().pages.remove(&token::hash(id)).is_some();
        if was_waiting && let Err(error) = self.forget(id).await {
            tracing::debug!(%error, "a popup's channel is left to be swept");
        }
    }

    /// Lets every page go, so that their websockets close: a server that stops
    /// does not wait for pages that may wait for minutes.
    pub(crate) async fn close_all(&self) {
        self.lock().pages.clear();
        if let Err(error) = self.forget_all().await {
            tracing::debug!(%error, "popup channels are left to be swept");
        }
    }

    async fn forget_all(&self) -> Result<(), Error> {
        let mut conn = self.db.conn().await?;
        popup_channels::close_all(&mut conn, self.holder).await
    }

    /// Passes on what other processes left for the pages of this one.
    async fn look(&self) -> Result<(), Error> {
        let results = {
            let mut conn = self.db.conn().await?;
            popup_channels::take(&mut conn, self.holder).await?
        };
        for (id_hash, message) in results {
            let page = self.lock().pages.remove(&id_hash);
            if let Some(page) = page {
                let _ = page.send(message);
            }
        }
        Ok(())
    }

    /// Whether the caller is to start looking for results.
    fn begin_watch(&self) -> bool {
        !std::mem::replace(&mut self.lock().is_watched, true)
    }

    /// Whether the task that looks may stop: nobody waits.
    fn end_watch(&self) -> bool {
        let mut waiting = self.lock();
        let is_over = waiting.pages.is_empty();
        waiting.is_watched = !is_over;
        is_over
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        // Each change leaves the map whole, so a panic elsewhere does too.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks for results from now on until no page waits any more; one task does
/// it for all pages of the process.
pub(crate) fn watch(state: &web::Data<State>) {
    if !state.channels.begin_watch() {
        return;
    }
    let state = state.clone();
    actix_web::rt::spawn(async move {
        while !state.channels.end_watch() {
            actix_web::rt::time::sleep(LOOK_EVERY).await;
            if let Err(error) = state.channels.look().await {
                tracing::warn!(%error, "popup results could not be looked for");
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use linkspan_shared::db;

    use super::*;

    fn channels() -> Channels {
        let settings = db::Settings {
            url: "postgres://nobody@localhost/nothing".into(),
            max_connections: 1,
            timeout: LOOK_EVERY,
        };
        Channels::new(Database::new(&settings).unwrap(), 1)
    }

    #[test]
    fn one_task_looks_for_results_and_only_while_a_page_waits() {
        let channels = channels();
        let (result, _page) = oneshot::channel();
        channels.lock().pages.insert(vec![1], result);
        assert!(channels.begin_watch());
        assert!(
            !channels.begin_watch(),
            "the task that runs serves every page"
        );
        assert!(!channels.end_watch(), "a page waits");
        assert!(!channels.begin_watch(), "it goes on");
        channels.lock().pages.clear();
        assert!(channels.end_watch(), "nobody waits");
        assert!(channels.begin_watch(), "the next page starts it again");
    }

    #[tokio::test]
    async fn the_page_of_this_process_is_told_though_the_database_is_away() {
        let channels = channels();
        let (result, page) = oneshot::channel();
        channels.lock().pages.insert(token::hash("id"), result);
        let message = PopupMessage::Success {
            provider_config_key: "demo".into(),
            connection_id: "1".into(),
            is_pending: false,
        };
        channels.send("id", message.clone()).await;
        assert_eq!(page.await.unwrap(), message);
        assert!(channels.lock().pages.is_empty());
    }
}
