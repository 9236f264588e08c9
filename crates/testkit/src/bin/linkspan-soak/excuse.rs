//! Which grants nobody could have kept: by which process the provider had answered,
//! and when that one was hurt. A moment that was drawn at random excuses nothing by
//! itself. A refresh that a dead process left is repeated by any other, which may be
//! hurt in its turn: so all faults of a run are looked through.

use std::time::Duration;

use chrono::{DateTime, Utc};
use linkspan_simulator::{Asked, Fate};

use crate::plan::{Fault, Provider};

/// How long the provider's answer and the `UPDATE` that stores it take at most on a
/// machine where six processes are started and killed all the time.
const GAP: Duration = Duration::from_millis(400);
/// How long a request is under way at most.
const UNDER_WAY: Duration = Duration::from_millis(300);

/// What was done to a process, and when.
#[derive(Clone, Debug)]
pub(crate) struct Hurt {
    /// Its name, which it has at the provider.
    pub(crate) process: String,
    pub(crate) fault: Fault,
    /// It was well until then.
    pub(crate) from: DateTime<Utc>,
    /// By then it stood still or was dead.
    pub(crate) until: DateTime<Utc>,
    /// When it went on.
    pub(crate) resumed: Option<DateTime<Utc>>,
}

impl Hurt {
    pub(crate) fn kill(process: &str, at: DateTime<Utc>) -> Self {
        Self {
            process: process.to_owned(),
            fault: Fault::Kill,
            from: at,
            until: at,
            resumed: None,
        }
    }

    /// Whether the process may not have stored an answer: it was given out just
    /// before the fault, or to a request that was under way.
    fn catches(&self, asked: &Asked) -> bool {
        let caught = self.from - GAP..self.until + UNDER_WAY;
        asked.by == self.process && caught.contains(&asked.at)
    }

    /// Whether a request was stopped on its way, and arrived when the process went
    /// on.
    fn delays(&self, asked: &Asked) -> bool {
        let delayed = |resumed: DateTime<Utc>| {
            let late = resumed..resumed + UNDER_WAY;
            late.contains(&asked.at)
        };
        asked.by == self.process && self.resumed.is_some_and(delayed)
    }
}

/// Whether the loss of a grant was beyond help: the provider had answered a process
/// that could not store it, and takes the token that it spent only once.
pub(crate) fn is_beyond_help(
    provider: Provider,
    faults: &[Hurt],
    fate: &Fate,
    lease: Duration,
) -> bool {
    // Who stands still for less is not taken for dead.
    let is_overtaken = |hurt: &Hurt| match hurt.fault {
        Fault::Kill => true,
        Fault::Pause(long) => long >= lease * 3 / 4,
    };
    match provider {
        Provider::Grace => false,
        // Who was stopped goes on, and stores what it has.
        Provider::Strict => fate.issued.as_ref().is_some_and(|issued| {
            let mut kills = faults.iter().filter(|hurt| hurt.fault == Fault::Kill);
            kills.any(|hurt| hurt.catches(issued))
        }),
        Provider::Revoking => fate.reuse.as_ref().is_some_and(|reuse| {
            let mut faults = faults.iter().filter(|hurt| is_overtaken(hurt));
            faults.any(|hurt| hurt.catches(&reuse.first) || hurt.delays(&reuse.again))
        }),
    }
}

/// What the provider saw, in milliseconds after `begun`.
pub(crate) fn told(fate: &Fate, begun: DateTime<Utc>) -> String {
    let one = |asked: &Asked| {
        let after = (asked.at - begun).num_milliseconds();
        format!("by {} after {after} ms", asked.by)
    };
    match (&fate.reuse, &fate.issued) {
        (Some(reuse), _) => format!(
            "a token was exchanged {}, and again {}",
            one(&reuse.first),
            one(&reuse.again)
        ),
        (None, Some(issued)) => format!("its token was got {}", one(issued)),
        (None, None) => "the provider knows of nothing".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use linkspan_simulator::Reuse;

    use super::*;

    const LEASE: Duration = Duration::from_millis(600);

    fn asked(by: &str, millis: i64) -> Asked {
        let at = DateTime::from_timestamp_millis(1_800_000_000_000 + millis);
        Asked {
            by: by.to_owned(),
            at: at.unwrap(),
        }
    }

    /// A fault of `a` at 1,000 ms that ends at 2,000.
    fn excuses(provider: Provider, fault: Fault, fate: &Fate) -> bool {
        let at = |millis| asked("", millis).at;
        let hurt = Hurt {
            process: "a".to_owned(),
            fault,
            from: at(1_000),
            until: at(1_005),
            resumed: matches!(fault, Fault::Pause(_)).then_some(at(2_000)),
        };
        is_beyond_help(provider, &[hurt], fate, LEASE)
    }

    #[test]
    fn a_kill_excuses_what_the_process_was_just_given_and_nothing_else() {
        let issued = |by, millis| Fate {
            issued: Some(asked(by, millis)),
            reuse: None,
        };
        for (by, millis, expected) in [
            ("a", 500, false),
            ("a", 900, true),
            ("b", 900, false),
            ("a", 1_100, true),
            ("a", 1_500, false),
        ] {
            let fate = issued(by, millis);
            let found = excuses(Provider::Strict, Fault::Kill, &fate);
            assert_eq!(found, expected, "{by} {millis}");
        }
        let fate = issued("a", 900);
        assert!(!excuses(Provider::Grace, Fault::Kill, &fate));
        let pause = Fault::Pause(Duration::from_secs(1));
        assert!(!excuses(Provider::Strict, pause, &fate));
    }

    #[test]
    fn a_pause_excuses_what_it_outlasted_the_lease_with() {
        let pause = |millis| Fault::Pause(Duration::from_millis(millis));
        for (millis, first, again, expected) in [
            (1_000, ("a", 950), ("b", 1_900), true),
            (400, ("a", 950), ("b", 1_900), false),
            (1_000, ("b", 950), ("c", 1_900), false),
            (1_000, ("b", 1_700), ("a", 2_050), true),
            (1_000, ("b", 1_700), ("a", 2_900), false),
        ] {
            let fate = Fate {
                issued: None,
                reuse: Some(Reuse {
                    first: asked(first.0, first.1),
                    again: asked(again.0, again.1),
                }),
            };
            let found = excuses(Provider::Revoking, pause(millis), &fate);
            assert_eq!(found, expected, "{millis} {fate:?}");
        }
    }
}
