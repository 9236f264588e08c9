//! How a run fails.

use std::time::Duration;

/// Why a run failed, and whether it is worth another.
#[derive(Debug)]
pub struct Failure {
    pub(crate) message: String,
    pub(crate) retry: Retry,
}

/// Whether a failed job runs again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After the kind's back-off with jitter, while it has attempts left.
    Backoff,
    /// After this time, while it has attempts left.
    After(Duration),
    /// No: it cannot succeed, and a person is to look at it.
    Never,
}

impl Failure {
    /// One whose job runs again, after the kind's back-off.
    pub fn new(message: impl std::fmt::Display) -> Self {
        Self {
            message: message.to_string(),
            retry: Retry::Backoff,
        }
    }

    /// The same with another say on whether it runs again.
    #[must_use]
    pub const fn retry(mut self, retry: Retry) -> Self {
        self.retry = retry;
        self
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(message)
    }
}
