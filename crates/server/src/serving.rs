//! Every request passes here first: its connection is told how long it is
//! served, and its body may not come for ever.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse};
use actix_web::error::PayloadError;
use actix_web::http::Method;
use actix_web::http::header::UPGRADE;
use actix_web::{Error, HttpMessage as _};
use bytes::Bytes;
use futures_util::Stream;
use linkspan_api::ErrorCode;
use tokio::time::{Instant, Sleep};

use crate::error::Failure;
use crate::meter::Meters;
use crate::transport::Activity;

/// Serves a request whose body may keep the server waiting for `patience`
/// altogether, and for a millisecond more with each byte that came; but never
/// for more than twice as long from now on, or whoever sends much at once could
/// hold it for hours.
pub(crate) fn serve<S, B>(
    mut request: ServiceRequest,
    service: &S,
    patience: Duration,
    meters: Rc<Meters>,
) -> impl Future<Output = Result<ServiceResponse<Served<B>>, Error>> + use<S, B>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: 'static,
    B: MessageBody + Unpin + 'static,
{
    let activity = request.conn_data::<Rc<Activity>>().cloned();
    let progress = watch_body(&mut request, patience);
    let serving = Serving::begin(activity, progress.clone());
    // actix drops what it serves when the caller hangs up. That ends a proxied
    // call, as it should; anything else is finished once it has begun, since a
    // code may have been spent, or a row changed that a cache still holds.
    let is_proxied = request.path().starts_with("/proxy/");
    let waiting = meters.begin(request.method(), is_proxied);
    let answer = waiting.until(service.call(request));
    async move {
        let answer = match is_proxied {
            true => answer.await,
            false => to_the_end(answer).await,
        };
        if progress.is_some_and(|progress| progress.is_too_slow.get()) {
            return Err(Failure::of(ErrorCode::RequestTimeout).into());
        }
        Ok(answer?.map_body(|_, body| Served {
            body,
            _serving: serving,
        }))
    }
}

/// Goes on with an answer though nobody waits for it any more.
async fn to_the_end<T: 'static>(
    answer: impl Future<Output = Result<T, Error>> + 'static,
) -> Result<T, Error> {
    let ended = actix_web::rt::spawn(answer).await;
    // It has panicked, which the runtime has reported.
    ended.unwrap_or_else(|_| Err(Failure::of(ErrorCode::GenericErrorSupport).into()))
}

/// Puts a request's body under watch, if it has one. What comes on a websocket
/// is no body.
fn watch_body(request: &mut ServiceRequest, patience: Duration) -> Option<Rc<Progress>> {
    let is_handshake = request.path() == "/"
        && request.method() == Method::GET
        && request.headers().contains_key(UPGRADE);
    if is_handshake {
        return None;
    }
    let payload = match request.take_payload() {
        Payload::None => return None,
        payload => payload,
    };
    let progress = Rc::<Progress>::default();
    let watched = Watched {
        payload,
        progress: Rc::clone(&progress),
        patience,
        most: patience * 2,
        waiting_since: None,
        alarm: None,
    };
    request.set_payload(Payload::Stream {
        payload: Box::pin(watched),
    });
    Some(progress)
}

/// How far a body has come.
#[derive(Debug, Default)]
struct Progress {
    is_read: Cell<bool>,
    is_too_slow: Cell<bool>,
}

/// A body that is under watch.
struct Watched {
    payload: Payload,
    progress: Rc<Progress>,
    /// How much longer it may keep us waiting.
    patience: Duration,
    /// How much longer at the most, however much has come.
    most: Duration,
    waiting_since: Option<Instant>,
    alarm: Option<Pin<Box<Sleep>>>,
}

impl Watched {
    fn came(&mut self, bytes: usize) {
        if let Some(since) = self.waiting_since.take() {
            self.patience = self.patience.saturating_sub(since.elapsed());
            self.alarm = None;
        }
        let earned = Duration::from_millis(bytes.try_into().unwrap_or(u64::MAX));
        self.patience = self.patience.saturating_add(earned).min(self.most);
    }

    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let patience = self.patience;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(since + patience)));
        alarm.as_mut().poll(cx)
    }
}

impl Drop for Watched {
    /// A body that nobody wanted may have come nevertheless: then the caller is
    /// at its next request, and not in the middle of this one.
    fn drop(&mut self) {
        let mut nobody = Context::from_waker(Waker::noop());
        while let Poll::Ready(piece) = Pin::new(&mut self.payload).poll_next(&mut nobody) {
            if !matches!(piece, Some(Ok(_))) {
                self.progress.is_read.set(true);
                return;
            }
        }
    }
}

impl Stream for Watched {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.progress.is_too_slow.get() {
            return Poll::Ready(None);
        }
        let outcome = Pin::new(&mut self.payload).poll_next(cx);
        match &outcome {
            Poll::Ready(Some(Ok(piece))) => self.came(piece.len()),
            Poll::Ready(_) => self.progress.is_read.set(true),
            Poll::Pending => {
                if self.poll_patience(cx).is_ready() {
                    self.progress.is_too_slow.set(true);
                    let error = io::Error::from(io::ErrorKind::TimedOut);
                    return Poll::Ready(Some(Err(error.into())));
                }
            }
        }
        outcome
    }
}

/// While this is there, the connection's request is being answered.
struct Serving {
    activity: Option<Rc<Activity>>,
    progress: Option<Rc<Progress>>,
}

impl Serving {
    fn begin(activity: Option<Rc<Activity>>, progress: Option<Rc<Progress>>) -> Self {
        if let Some(activity) = &activity {
            activity.begin();
        }
        Self { activity, progress }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let Some(activity) = &self.activity else {
            return;
        };
        match &self.progress {
            Some(progress) if progress.is_too_slow.get() => activity.give_up(),
            Some(progress) => activity.end(progress.is_read.get()),
            None => activity.end(true),
        }
    }
}

/// An answer's body; with its end the connection is no longer served.
pub(crate) struct Served<B> {
    body: B,
    _serving: Serving,
}

impl<B: MessageBody + Unpin> MessageBody for Served<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
