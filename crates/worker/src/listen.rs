//! Hears that other processes have enqueued something.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use diesel_async::SimpleAsyncConnection as _;
use linkspan_db::{Error, Listener};
use linkspan_jobs::wake::CHANNEL;
use secrecy::SecretString;

use crate::runner::Worker;

/// How often it is tried whether what is told is heard.
const TRY: Duration = Duration::from_secs(60);
/// How long that may take.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
const RECONNECT: Duration = Duration::from_secs(5);

/// Listens until it is cancelled. Without it the worker looks more often.
pub(crate) async fn run(worker: Arc<Worker>, url: SecretString) {
    loop {
        let wait = match Listener::connect(&url, CHANNEL).await {
            Ok(listener) => hear(&worker, &listener).await,
            Err(error) => {
                tracing::debug!(%error, "cannot listen for jobs; polling instead");
                RECONNECT
            }
        };
        // What was said meanwhile is not heard.
        worker.is_listening.store(false, Ordering::SeqCst);
        worker.wake_all();
        tokio::time::sleep(wait).await;
    }
}

/// Hears until the connection ends or hears nothing; how long to wait then.
async fn hear(worker: &Worker, listener: &Listener) -> Duration {
    while !listener.is_closed() {
        match is_heard(worker, listener).await {
            Ok(true) => {}
            Ok(false) => {
                tracing::info!(
                    "what is told through the database is not heard, as behind a pooler; polling \
                     for jobs (set LINKSPAN_DATABASE_DIRECT_URL)"
                );
                return TRY;
            }
            Err(error) => {
                tracing::debug!(%error, "cannot try whether jobs are heard of; polling");
                return RECONNECT;
            }
        }
        worker.is_listening.store(true, Ordering::SeqCst);
        // And what was said before.
        worker.wake_all();
        let until = tokio::time::sleep(TRY);
        tokio::pin!(until);
        loop {
            tokio::select! {
                () = listener.heard() => worker.wake_all(),
                () = &mut until => break,
            }
            if listener.is_closed() {
                return RECONNECT;
            }
        }
    }
    RECONNECT
}

/// A transaction pooler takes `LISTEN`, and then nothing comes.
async fn is_heard(worker: &Worker, listener: &Listener) -> Result<bool, Error> {
    let mut conn = worker.db.conn().await?;
    conn.batch_execute(&format!("NOTIFY {CHANNEL}")).await?;
    drop(conn);
    let heard = tokio::time::timeout(HEARD_WITHIN, listener.heard()).await;
    Ok(heard.is_ok() && !listener.is_closed())
}
