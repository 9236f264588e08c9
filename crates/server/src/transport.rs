//! A caller's connection, which is closed when the caller holds it and gives
//! nothing for it ("slow loris"): between requests, with a head that does not
//! end, or with an answer that is not taken.
//!
//! The HTTP server's own timers are off. They know the first head of a
//! connection only, and one that is set for a time that has passed never goes
//! off; they are also set anew for each request, which these are not.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep};

use crate::slots::Slot;

/// How long a caller is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// Between requests.
    pub(crate) idle: Duration,
    /// From a head's first byte to its last, and for the first head from the
    /// connection's beginning.
    pub(crate) head: Duration,
    /// With an answer that waits to be taken, from one byte to the next.
    pub(crate) write: Duration,
}

/// What a connection is at.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Idle {
        since: Instant,
    },
    /// A head comes in, or the rest of a request that was answered already.
    Head {
        since: Instant,
    },
    Serving,
    /// It was given up at some time.
    Over {
        since: Instant,
    },
}

/// What a connection is at: its requests tell it to its [`Transport`].
#[derive(Debug)]
pub(crate) struct Activity(Cell<Phase>);

impl Activity {
    fn new() -> Self {
        Self(Cell::new(Phase::Head {
            since: Instant::now(),
        }))
    }

    /// A head is complete: what takes time from now on is the answer.
    pub(crate) fn begin(&self) {
        self.0.set(Phase::Serving);
    }

    /// The answer is complete. A request that was answered before it was read
    /// must end in the time of a head.
    pub(crate) fn end(&self, is_read: bool) {
        let since = Instant::now();
        self.0.set(if is_read {
            Phase::Idle { since }
        } else {
            Phase::Head { since }
        });
    }

    /// The answer is complete, and nothing more is to come.
    pub(crate) fn give_up(&self) {
        let since = Instant::now();
        self.0.set(Phase::Over { since });
    }

    fn bytes_came(&self) {
        if let Phase::Idle { .. } = self.0.get() {
            let since = Instant::now();
            self.0.set(Phase::Head { since });
        }
    }
}

/// A caller's connection.
pub(crate) struct Transport {
    io: TcpStream,
    activity: Rc<Activity>,
    patience: Patience,
    /// Since when the caller has taken nothing of what waits for it.
    untaken_since: Option<Instant>,
    /// Set for a deadline once, and again only when it goes off: most requests
    /// are over long before, and leave it alone.
    alarm: Option<Pin<Box<Sleep>>>,
    _slot: Slot,
}

impl Transport {
    pub(crate) fn new(io: TcpStream, patience: Patience, slot: Slot) -> Self {
        Self {
            io,
            activity: Rc::new(Activity::new()),
            patience,
            untaken_since: None,
            alarm: None,
            _slot: slot,
        }
    }

    /// What its requests tell it by.
    pub(crate) fn activity(&self) -> Rc<Activity> {
        Rc::clone(&self.activity)
    }

    /// When the caller's next bytes must have come.
    fn must_send_by(&self) -> Option<Instant> {
        match self.activity.0.get() {
            Phase::Idle { since } => Some(since + self.patience.idle),
            Phase::Head { since } => Some(since + self.patience.head),
            Phase::Over { since } => Some(since),
            Phase::Serving => None,
        }
    }

    /// When the caller must have taken something.
    fn must_take_by(&self) -> Option<Instant> {
        self.untaken_since.map(|since| since + self.patience.write)
    }

    /// Has this task woken by a deadline at the latest; whether that is past.
    fn wake_by(&mut self, deadline: Option<Instant>, cx: &mut Context<'_>) -> bool {
        let Some(deadline) = deadline else {
            return false;
        };
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        // One that is set for earlier wakes the task of this connection, which
        // is always the same, and then comes here again.
        let is_set = alarm.deadline() <= deadline && !alarm.is_elapsed();
        if is_set && alarm.deadline() != deadline {
            return false;
        }
        if !is_set {
            if Instant::now() >= deadline {
                return true;
            }
            alarm.as_mut().reset(deadline);
        }
        alarm.as_mut().poll(cx).is_ready()
    }

    /// What a write came to, after taking note of it.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        outcome: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if outcome.is_ready() {
            self.untaken_since = None;
            return outcome;
        }
        self.untaken_since.get_or_insert_with(Instant::now);
        if self.wake_by(self.must_take_by(), cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }
}

impl AsyncRead for Transport {
    /// A caller who has been waited for long enough has sent all there is.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_read(cx, buffer);
        if outcome.is_ready() {
            this.activity.bytes_came();
            return outcome;
        }
        if this.wake_by(this.must_send_by(), cx) {
            return Poll::Ready(Ok(()));
        }
        Poll::Pending
    }
}

impl AsyncWrite for Transport {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write(cx, bytes);
        this.written(cx, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.io).poll_write_vectored(cx, bytes);
        this.written(cx, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    /// Follows each answer, which is when the wait for the next request begins.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.wake_by(this.must_send_by(), cx) {
            cx.waker().wake_by_ref();
        }
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
