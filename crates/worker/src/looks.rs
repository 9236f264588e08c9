//! How far back the worker looks for jobs.

use std::time::{Duration, Instant};

use linkspan_jobs::claim::Reach;

/// No longer than this is only looked ahead.
const LONGEST: Duration = Duration::from_secs(5);
/// A look at everything is one part in so many of all the time.
const SHARE: u32 = 5;

/// When all that is ready is looked at, and when only what comes next: usually
/// all, every time. While a look at all takes long, for what an old transaction
/// keeps in the index, it is taken the more rarely.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    all_due: Option<Instant>,
}

impl Looks {
    pub(crate) fn next(&self, now: Instant) -> Reach {
        match self.all_due {
            Some(due) if now < due => Reach::Ahead,
            _ => Reach::All,
        }
    }

    /// A look has ended.
    pub(crate) fn ended(&mut self, reach: Reach, began: Instant, now: Instant) {
        if reach == Reach::All {
            let took = now.saturating_duration_since(began);
            self.all_due = Some(now + (took * (SHARE - 1)).min(LONGEST));
        }
    }

    /// How long what a look did not reach may stay unseen.
    pub(crate) fn until_all(&self, reach: Reach, now: Instant) -> Option<Duration> {
        let due = self.all_due.filter(|_| reach == Reach::Ahead)?;
        Some(due.saturating_duration_since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_at_all_is_a_fifth_of_the_time() {
        let begun = Instant::now();
        let at = |ms| begun + Duration::from_millis(ms);
        let mut looks = Looks::default();
        assert_eq!(looks.next(at(0)), Reach::All);
        looks.ended(Reach::All, at(0), at(100));
        assert_eq!(looks.next(at(499)), Reach::Ahead);
        looks.ended(Reach::Ahead, at(499), at(501));
        assert_eq!(looks.next(at(501)), Reach::All);
    }

    #[test]
    fn who_did_not_look_at_all_does_so_soon() {
        let begun = Instant::now();
        let mut looks = Looks::default();
        let took = Duration::from_millis(10);
        looks.ended(Reach::All, begun, begun + took);
        assert_eq!(looks.until_all(Reach::All, begun + took), None);
        assert_eq!(looks.until_all(Reach::Ahead, begun + took), Some(4 * took));
    }
}
