//! Log lines that anybody can cause, said once a minute at most.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// From one line to the next.
const PAUSE: Duration = Duration::from_secs(60);

/// Remembers when something was said last.
#[derive(Debug, Default)]
pub(crate) struct Occasionally(Mutex<Option<Instant>>);

impl Occasionally {
    /// Whether to say it now; if so, it is taken as said.
    pub(crate) fn is_due(&self) -> bool {
        self.is_due_at(Instant::now())
    }

    fn is_due_at(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_said_again_after_a_minute() {
        let (line, now) = (Occasionally::default(), Instant::now());
        let due =
            [0, 1, 59, 60, 61, 119, 120].map(|s| line.is_due_at(now + Duration::from_secs(s)));
        assert_eq!(due, [true, false, false, true, false, false, true]);
    }
}
