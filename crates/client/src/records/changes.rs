//! `GET /records/stream`, followed across connections.

use std::time::Duration;

use futures_util::{Stream, stream};
use http::{Method, StatusCode};
use linkspan_api::records::Record;

use super::Records;
use crate::call::{self, Call};
use crate::error::Error;
use crate::events::{Event, Events};
use crate::retry::retry_after;

/// How long the server may be silent: it sends something every 15 seconds.
const SILENCE: Duration = Duration::from_secs(50);

/// [`Records::changes`].
#[derive(Debug, Clone)]
#[must_use = "nothing is asked for before `stream`"]
pub struct FollowRecords {
    records: Records,
    cursor: Option<String>,
    silence: Duration,
}

impl FollowRecords {
    pub(super) fn new(records: Records) -> Self {
        Self {
            records,
            cursor: None,
            silence: SILENCE,
        }
    }

    /// Only what changes after this place: the cursor of the last record that you
    /// have handled. Without it, everything that is there comes first.
    pub fn after(self, cursor: impl Into<String>) -> Self {
        let cursor = Some(cursor.into());
        Self { cursor, ..self }
    }

    /// After how long without a sign of the server the connection is taken for
    /// broken; 50 seconds unless set. The server sends something every 15.
    pub fn silence(self, silence: Duration) -> Self {
        Self { silence, ..self }
    }

    /// The changes, for as long as the stream is kept; dropping it closes the
    /// connection.
    ///
    /// The server ends each connection after a quarter of an hour and when it
    /// stops. This comes again, goes on after the last record that it gave, and
    /// does so for as long as it takes once it was connected. It ends with an
    /// error when the first connection does not come about, as the client's
    /// [`RetryPolicy`](crate::RetryPolicy) says, and when the server refuses one:
    /// the key or the connection is gone, the cursor is none.
    pub fn stream(self) -> impl Stream<Item = Result<Record, Error>> + Send + Unpin {
        let follower = Follower {
            call: self,
            events: None,
            was_open: false,
            wait: Duration::from_secs(1),
        };
        Box::pin(stream::try_unfold(follower, async |mut follower| {
            let record = follower.next().await?;
            Ok(Some((record, follower)))
        }))
    }
}

/// Somebody who follows, connected or not.
struct Follower {
    call: FollowRecords,
    events: Option<Events>,
    was_open: bool,
    /// Before coming again when a connection has ended.
    wait: Duration,
}

impl Follower {
    async fn next(&mut self) -> Result<Record, Error> {
        loop {
            let Some(events) = &mut self.events else {
                self.events = Some(self.connect().await?);
                self.was_open = true;
                continue;
            };
            match events.next(self.call.silence).await {
                Ok(Some(Event::Retry(wait))) => self.wait = wait,
                Ok(Some(Event::Message { id, data })) => {
                    let record: Record = serde_json::from_slice(&data).map_err(Error::Decode)?;
                    self.call.cursor = id.or_else(|| Some(record.metadata.cursor.clone()));
                    return Ok(record);
                }
                Ok(None) | Err(Error::Transport(_) | Error::Timeout) => {
                    self.events = None;
                    tokio::time::sleep(self.wait).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn connect(&mut self) -> Result<Events, Error> {
        let mut attempt = 1;
        loop {
            let wait = match self.ask().await {
                Ok(answer) if answer.status().is_success() => return Ok(Events::of(answer)),
                Ok(answer) => self.after_answer(attempt, answer).await?,
                Err(error) => self.after_failure(attempt, error)?,
            };
            tokio::time::sleep(wait).await;
            attempt += 1;
        }
    }

    async fn ask(&mut self) -> Result<reqwest::Response, Error> {
        let records = &self.call.records;
        let mut call = Call::new(&records.client, Method::GET, &["records", "stream"])
            .query([("model", &records.model)])
            .query(records.variant.iter().map(|variant| ("variant", variant)));
        if let Some(cursor) = &self.call.cursor {
            call = call.header("last-event-id", cursor);
        }
        let timeout = records.client.inner.timeout;
        call::head(records.named(call).request()?, timeout).await
    }

    /// How long to wait after an answer that is none of ours to give up at.
    async fn after_answer(
        &mut self,
        attempt: u32,
        answer: reqwest::Response,
    ) -> Result<Duration, Error> {
        let (status, headers) = (answer.status(), answer.headers().clone());
        let policy = &self.call.records.client.inner.retries;
        let wait = match self.was_open {
            true => is_passing(status).then(|| {
                let asked = retry_after(&headers, chrono::Utc::now());
                asked.unwrap_or_else(|| policy.wait(attempt))
            }),
            false => policy.after_answer(attempt, &Method::GET, status, &headers),
        };
        match wait {
            Some(wait) => Ok(wait),
            None => {
                let body = answer.bytes().await?;
                Err(Error::answered(status, call::request_id(&headers), &body))
            }
        }
    }

    fn after_failure(&self, attempt: u32, error: Error) -> Result<Duration, Error> {
        let policy = &self.call.records.client.inner.retries;
        let wait = match (&error, self.was_open) {
            (Error::Transport(_) | Error::Timeout, true) => Some(policy.wait(attempt)),
            _ => policy.after_failure(attempt, &Method::GET, &error),
        };
        wait.ok_or(error)
    }
}

/// Whether a server, or what is in front of it, may answer otherwise soon.
fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error()
}
