//! Misbehaviour on demand.

use std::time::Duration;

/// One thing that goes wrong once, with the next request that it fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The next token request is carried out at once (codes and refresh tokens
    /// are spent, new ones issued), but its answer is held back this long.
    SlowToken(Duration),
    /// The next token request is answered so, as JSON
    /// (as HTML when it begins with `<`), and nothing is carried
    /// out: a code or refresh token that it named stays good.
    TokenError {
        /// HTTP status, 200 to 599; anything else becomes 500.
        status: u16,
        /// The body as sent, which need not be JSON.
        body: String,
    },
    /// The next refresh brings an access token alone: the refresh token stays
    /// good and no new one is named.
    KeepRefreshToken,
    /// The next request to a path is answered so, whatever its method.
    Status {
        /// The path as it stands in the request line, without the query.
        path: String,
        /// HTTP status, 200 to 599; anything else becomes 500.
        status: u16,
        /// Headers of the answer, for example `retry-after`.
        headers: Vec<(String, String)>,
        /// The body as sent.
        body: String,
    },
    /// The next consent ends with `access_denied`, whatever button was pressed.
    RefuseConsent,
}

/// Faults that wait for their request, oldest first.
#[derive(Debug, Default)]
pub(crate) struct FaultQueue(Vec<Fault>);

impl FaultQueue {
    pub(crate) fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes the oldest fault that fits, so that one request meets one fault.
    pub(crate) fn take(&mut self, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        let at = self.0.iter().position(fits)?;
        Some(self.0.remove(at))
    }
}
