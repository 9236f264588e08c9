//! When a failed call is made again, and after how long.

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::{HeaderMap, Method, StatusCode, header};
use ring::rand::{SecureRandom, SystemRandom};

use crate::error::Error;

/// How failed calls are made again.
///
/// A call is made again when
/// - no connection came about, so that nothing was sent;
/// - the server answers 429, which it does before it does anything;
/// - it is idempotent (GET, PUT or DELETE) and the connection broke, time ran
///   out, or the answer is 502, 503 or 504.
///
/// A deletion that was made again can fail as not found, because the first
/// attempt succeeded although its answer was lost.
///
/// The wait doubles each time, up to [`max_wait`](Self::max_wait), and a random
/// part of it, up to half, is left out so that many clients do not return at
/// once. `Retry-After` takes its place; if it asks for more than `max_wait`,
/// the error is returned at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetryPolicy {
    attempts: u32,
    first_wait: Duration,
    max_wait: Duration,
}

impl Default for RetryPolicy {
    /// Three attempts in all; waits from 250 ms up to 20 s.
    fn default() -> Self {
        Self {
            attempts: 3,
            first_wait: Duration::from_millis(250),
            max_wait: Duration::from_secs(20),
        }
    }
}

impl RetryPolicy {
    /// Every call is made once.
    #[must_use]
    pub fn none() -> Self {
        Self::default().attempts(1)
    }

    /// How many attempts there are in all; at least one.
    #[must_use]
    pub fn attempts(self, attempts: u32) -> Self {
        Self {
            attempts: attempts.max(1),
            ..self
        }
    }

    /// How long the wait after the first attempt is.
    #[must_use]
    pub fn first_wait(self, first_wait: Duration) -> Self {
        Self { first_wait, ..self }
    }

    /// How long a wait is at most.
    #[must_use]
    pub fn max_wait(self, max_wait: Duration) -> Self {
        Self { max_wait, ..self }
    }

    /// The wait before the next attempt after an answer, or none if it stands.
    pub(crate) fn after_answer(
        &self,
        attempt: u32,
        method: &Method,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Option<Duration> {
        let is_worth_it = match status.as_u16() {
            429 => true,
            502..=504 => method.is_idempotent(),
            _ => false,
        };
        if !is_worth_it || attempt >= self.attempts {
            return None;
        }
        match retry_after(headers, Utc::now()) {
            Some(wait) => (wait <= self.max_wait).then_some(wait),
            None => Some(self.wait(attempt)),
        }
    }

    /// The wait before the next attempt after none came.
    pub(crate) fn after_failure(
        &self,
        attempt: u32,
        method: &Method,
        error: &Error,
    ) -> Option<Duration> {
        let is_worth_it = match error {
            Error::Transport(error) if error.is_builder() => false,
            Error::Transport(error) => error.is_connect() || method.is_idempotent(),
            Error::Timeout => method.is_idempotent(),
            _ => false,
        };
        (is_worth_it && attempt < self.attempts).then(|| self.wait(attempt))
    }

    /// The wait before the attempt after this one.
    pub(crate) fn wait(&self, attempt: u32) -> Duration {
        let doubled = 2u32
            .checked_pow(attempt.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let whole = self.first_wait.saturating_mul(doubled).min(self.max_wait);
        whole - whole.mul_f64(half_at_most())
    }
}

/// A random number from 0 to 0.5; without randomness, 0.
fn half_at_most() -> f64 {
    let mut byte = [0];
    match SystemRandom::new().fill(&mut byte) {
        Ok(()) => f64::from(byte[0]) / 512.0,
        Err(_) => 0.0,
    }
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
pub(crate) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(wait: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::RETRY_AFTER, wait.parse().unwrap())])
    }

    #[test]
    fn waits_double_up_to_the_most() {
        let policy = RetryPolicy::default().max_wait(Duration::from_secs(1));
        for (attempt, most) in [(1, 250), (2, 500), (3, 1000), (4, 1000), (40, 1000)] {
            let wait = policy.wait(attempt);
            assert!(wait <= Duration::from_millis(most), "{attempt}: {wait:?}");
            assert!(
                wait >= Duration::from_millis(most / 2),
                "{attempt}: {wait:?}"
            );
        }
    }

    #[test]
    fn an_answer_says_when_unless_it_asks_for_too_much() {
        let policy = RetryPolicy::default();
        let after = |wait| {
            policy.after_answer(
                1,
                &Method::POST,
                StatusCode::TOO_MANY_REQUESTS,
                &asking(wait),
            )
        };
        assert_eq!(after("7"), Some(Duration::from_secs(7)));
        assert_eq!(after("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        assert_eq!(after("3600"), None);
        assert!(after("soon").is_some_and(|wait| wait <= Duration::from_millis(250)));
    }

    #[test]
    fn only_what_is_safe_is_made_again() {
        let policy = RetryPolicy::default();
        let again = |attempt, method, status| {
            let status = StatusCode::from_u16(status).unwrap();
            policy
                .after_answer(attempt, &method, status, &HeaderMap::new())
                .is_some()
        };
        for status in [502, 503, 504] {
            assert!(again(1, Method::GET, status) && again(2, Method::DELETE, status));
            assert!(!again(1, Method::POST, status) && !again(1, Method::PATCH, status));
            assert!(!again(3, Method::GET, status), "three attempts are all");
        }
        assert!(again(1, Method::POST, 429));
        assert!(!again(1, Method::GET, 500) && !again(1, Method::GET, 404));
        assert!(
            policy
                .after_failure(1, &Method::GET, &Error::Timeout)
                .is_some()
        );
        assert!(
            policy
                .after_failure(1, &Method::POST, &Error::Timeout)
                .is_none()
        );
    }
}
