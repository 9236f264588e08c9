//! What a kind of job is.

use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A kind of job: its payload's type says everything about it but what it does,
/// which is the worker's to know.
pub trait Kind: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// Its name in the table. It never changes while jobs of it exist.
    const NAME: &'static str;
    /// How long one run may take before it is ended and counts as failed.
    const RUN_LIMIT: Duration;
    /// How many runs it gets before it is dead; a worker that dies in it takes
    /// one.
    const MAX_ATTEMPTS: u16 = 5;
    /// How long it may wait for its first run before it is given up; none when
    /// absent.
    const START_WITHIN: Option<Duration> = None;
    /// Which jobs go first.
    const PRIORITY: Priority = Priority::Normal;

    /// How long to wait after a failed run, the first being `attempt` 1, before
    /// jitter: doubles from a second to ten minutes unless a kind says otherwise.
    #[must_use]
    fn backoff(attempt: u16) -> Duration {
        exponential(attempt)
    }
}

/// A second, doubled with each attempt after the first, ten minutes at most.
#[must_use]
pub fn exponential(attempt: u16) -> Duration {
    const LONGEST: Duration = Duration::from_secs(600);
    let doublings = u32::from(attempt.saturating_sub(1)).min(16);
    Duration::from_secs(1 << doublings).min(LONGEST)
}

/// Which jobs go first, whatever group they are of. Within a priority groups take
/// turns. A lower one waits for as long as there are higher ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Priority {
    /// Somebody waits for the result.
    High,
    /// Anything else.
    #[default]
    Normal,
    /// It may wait for hours: clean-up.
    Low,
}

impl Priority {
    /// The number in the table; the lowest goes first.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::High => 0,
            Self::Normal => 1,
            Self::Low => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_minutes() {
        let seconds: Vec<u64> = (1..=12).map(|n| exponential(n).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        assert_eq!(exponential(u16::MAX).as_secs(), 600);
    }
}
