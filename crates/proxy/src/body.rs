//! The body of an answer, on its way from the API to the caller.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use linkspan_api::ErrorCode;
use linkspan_net::{HttpBody, Incoming};
use tokio::time::{Instant, Sleep};

use crate::gate::Pass;
use crate::meter::Outcome;
use crate::record::Record;

/// Why an answer's body ended before it was complete.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Broken {
    /// The API sent nothing for too long.
    #[error("the API sent nothing for {} ms in the middle of its answer", .0.as_millis())]
    Stalled(Duration),
    /// The connection broke, or what came over it was not HTTP.
    #[error("the API's answer broke off: {0}")]
    Lost(String),
    /// The answer is not compressed in the way that it says.
    #[error("the API's answer cannot be decompressed: {0}")]
    Compressed(std::io::Error),
}

impl Broken {
    /// The code under which the call is logged. The caller has a status already.
    fn code(&self) -> ErrorCode {
        match self {
            Self::Stalled(_) => ErrorCode::UpstreamTimeout,
            Self::Lost(_) | Self::Compressed(_) => ErrorCode::UpstreamUnreachable,
        }
    }
}

/// Where the body comes from.
pub(crate) enum Source {
    Direct(Incoming),
    /// What has been read of it already, and the rest.
    Begun(Option<Bytes>, Box<Source>),
    /// It broke while it was read.
    Failed(Option<Broken>),
    Decompressed(Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>),
}

impl Source {
    pub(crate) fn is_end(&self) -> bool {
        match self {
            Self::Direct(body) => body.is_end_stream(),
            Self::Begun(begun, rest) => begun.is_none() && rest.is_end(),
            Self::Failed(error) => error.is_none(),
            Self::Decompressed(_) => false,
        }
    }
}

impl Stream for Source {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut *self {
            Self::Direct(body) => poll_data(body, cx),
            Self::Begun(begun, rest) => match begun.take() {
                Some(begun) => Poll::Ready(Some(Ok(begun))),
                None => Pin::new(&mut **rest).poll_next(cx),
            },
            Self::Failed(error) => Poll::Ready(error.take().map(Err)),
            Self::Decompressed(stream) => stream.as_mut().poll_next(cx),
        }
    }
}

/// The next piece. Trailers end here: few clients read them, and what announces
/// them belongs to the connection.
fn poll_data(body: &mut Incoming, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
    loop {
        return Poll::Ready(match ready!(Pin::new(&mut *body).poll_frame(cx)) {
            None => None,
            Some(Err(error)) => Some(Err(Broken::Lost(reasons(&error)))),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => Some(Ok(data)),
                Err(_) => continue,
            },
        });
    }
}

/// An error with its causes.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// The body of an API's answer, as a stream. An error is its last item, and
/// means that the caller must not take it for complete. Dropping it ends the
/// call; either way the call is then logged.
pub struct AnswerBody(Box<State>);

struct State {
    source: Source,
    idle: Idle,
    /// Gone when the body has ended.
    call: Option<(Record, Pass)>,
}

impl AnswerBody {
    pub(crate) fn new(source: Source, idle: Duration, record: Record, pass: Pass) -> Self {
        Self(Box::new(State {
            source,
            idle: Idle::new(idle),
            call: Some((record, pass)),
        }))
    }
}

impl State {
    fn end(&mut self, error: Option<&Broken>) {
        if let Some((mut record, _pass)) = self.call.take() {
            match error {
                Some(error) => {
                    let code = Some(error.code().as_str());
                    record.broke_off(Outcome::Broken, code, error.to_string());
                }
                None => record.end(),
            }
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        if self.call.is_none() {
            return Poll::Ready(None);
        }
        let next = match Pin::new(&mut self.source).poll_next(cx) {
            Poll::Ready(next) => {
                self.idle.stop();
                next
            }
            Poll::Pending => Some(Err(ready!(self.idle.poll(cx)))),
        };
        match &next {
            None => self.end(None),
            Some(Err(error)) => self.end(Some(error)),
            Some(Ok(_)) if self.source.is_end() => self.end(None),
            Some(Ok(_)) => {}
        }
        Poll::Ready(next)
    }
}

impl Stream for AnswerBody {
    type Item = Result<Bytes, Broken>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll(cx)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // An answer to HEAD, a 204 and their like are never polled.
        if self.source.is_end() {
            self.end(None);
        }
    }
}

impl std::fmt::Debug for AnswerBody {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AnswerBody")
            .field("is_end", &self.0.source.is_end())
            .finish_non_exhaustive()
    }
}

/// Measures how long nothing comes. Most bodies are there with their head, so
/// the timer is made when the first one waits.
struct Idle {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    is_running: bool,
}

impl Idle {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: None,
            is_running: false,
        }
    }

    fn stop(&mut self) {
        self.is_running = false;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Broken> {
        let limit = self.limit;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.is_running {
            timer.as_mut().reset(Instant::now() + limit);
            self.is_running = true;
        }
        timer.as_mut().poll(cx).map(|()| Broken::Stalled(limit))
    }
}
