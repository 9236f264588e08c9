//! Hears that other processes have enqueued something.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use linkspan_db::Listener;
use linkspan_jobs::wake::CHANNEL;
use secrecy::SecretString;

use crate::runner::Worker;

/// How often the connection is asked whether it lives.
const PING: Duration = Duration::from_secs(60);
const RECONNECT: Duration = Duration::from_secs(5);

/// Listens until it is cancelled. Without it the worker looks more often.
pub(crate) async fn run(worker: Arc<Worker>, url: SecretString) {
    loop {
        match Listener::connect(&url, CHANNEL).await {
            Ok(listener) => {
                worker.is_listening.store(true, Ordering::SeqCst);
                // What was said before is not heard.
                worker.wake_all();
                hear(&worker, &listener).await;
                worker.is_listening.store(false, Ordering::SeqCst);
                worker.wake_all();
            }
            Err(error) => tracing::debug!(%error, "cannot listen; polling instead"),
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

async fn hear(worker: &Worker, listener: &Listener) {
    while !listener.is_closed() {
        tokio::select! {
            () = listener.heard() => worker.wake_all(),
            () = tokio::time::sleep(PING) => if listener.ping().await.is_err() {
                return;
            },
        }
    }
}
