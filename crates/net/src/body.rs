//! Request bodies.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::Instant;

/// What a failing body says.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a request. An empty or a whole one costs no allocation, and can
/// be sent again; a stream is sent once.
pub struct Body(Kind);

enum Kind {
    Empty,
    Full(Bytes),
    Stream(UnsyncBoxBody<Bytes, BodyError>, Progress),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body that is held in memory, sent with its length.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self(if bytes.is_empty() {
            Kind::Empty
        } else {
            Kind::Full(bytes)
        })
    }

    /// A body sent as it comes: with the request's `content-length` header
    /// when there is one, otherwise chunked (HTTP/1.1) or open-ended (HTTP/2).
    /// An error of the stream aborts the request.
    pub fn stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BodyError> + 'static,
    {
        let frames = stream.map_ok(Frame::data).map_err(Into::into);
        Self::streamed(BodyExt::boxed_unsync(StreamBody::new(frames)))
    }

    /// Another implementation's body, sent as it comes.
    pub fn boxed<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self::streamed(body.map_err(Into::into).boxed_unsync())
    }

    fn streamed(body: UnsyncBoxBody<Bytes, BodyError>) -> Self {
        Self(Kind::Stream(body, Progress::begin()))
    }

    /// Tells when the last piece was taken, of a body that is sent as it comes.
    pub(crate) fn progress(&self) -> Option<Progress> {
        match &self.0 {
            Kind::Stream(_, progress) => Some(progress.clone()),
            Kind::Empty | Kind::Full(_) => None,
        }
    }

    /// The bytes, when the body can be sent again.
    pub(crate) fn replayable(&self) -> Option<Bytes> {
        match &self.0 {
            Kind::Empty => Some(Bytes::new()),
            Kind::Full(bytes) => Some(bytes.clone()),
            Kind::Stream(..) => None,
        }
    }
}

/// How far the sending of a streamed body is.
#[derive(Clone)]
pub(crate) struct Progress {
    begun: Instant,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Milliseconds from the beginning to the last piece.
    last: AtomicU64,
    /// Whether the next piece is missing, and not the wish for it.
    waits: AtomicBool,
}

impl Progress {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            state: Arc::default(),
        }
    }

    pub(crate) fn made(&self) {
        let since = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.state.last.store(since, Ordering::Relaxed);
        self.state.waits.store(false, Ordering::Relaxed);
    }

    fn waits(&self) {
        self.state.waits.store(true, Ordering::Relaxed);
    }

    /// Whether it is the body that nothing comes of.
    pub(crate) fn is_waiting(&self) -> bool {
        self.state.waits.load(Ordering::Relaxed)
    }

    pub(crate) fn last(&self) -> Instant {
        self.begun + Duration::from_millis(self.state.last.load(Ordering::Relaxed))
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

/// Shows the kind and the size, never the content.
impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Kind::Empty => f.write_str("Body::empty"),
            Kind::Full(bytes) => write!(f, "Body::full({} bytes)", bytes.len()),
            Kind::Stream(..) => f.write_str("Body::stream"),
        }
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.0 = Kind::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Stream(body, progress) => {
                let frame = Pin::new(body).poll_frame(cx);
                match frame {
                    Poll::Ready(_) => progress.made(),
                    Poll::Pending => progress.waits(),
                }
                frame
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Stream(body, _) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream(body, _) => body.size_hint(),
        }
    }
}
