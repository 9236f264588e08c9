//! What happens in a round, drawn from the seed before it happens.

use std::fmt;
use std::time::Duration;

use crate::random::Random;

/// The points of a refresh (`linkspan_shared::breakpoint`).
const POINTS: [&str; 4] = [
    "refresh.leased",
    "refresh.answered",
    "refresh.stored",
    "refresh.released",
];

/// How strict the provider is with refresh tokens that come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Provider {
    /// It answers a spent token again for half a minute; one that comes later
    /// ends the grant.
    Grace,
    /// It refuses a spent token, and that is all.
    Strict,
    /// A spent token ends the grant at once.
    Revoking,
}

/// What is done to the process that refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL, and a new process in its place.
    Kill,
    /// SIGSTOP, and SIGCONT after so long.
    Pause(Duration),
}

/// When it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// At a named point.
    Point(&'static str),
    /// So long after the call was made.
    After(Duration),
}

/// One round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Round {
    pub(crate) fault: Fault,
    pub(crate) moment: Moment,
    /// How long the provider takes to answer.
    pub(crate) provider_takes: Duration,
    /// How many others ask for the same connection meanwhile.
    pub(crate) others: u64,
}

impl Round {
    /// The next round; leases live for `lease`.
    pub(crate) fn draw(random: &mut Random, lease: Duration) -> Self {
        let millis = |count| Duration::from_millis(count);
        let lease = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let provider_takes = millis(random.below(60));
        let fault = match random.below(10) {
            0..6 => Fault::Kill,
            // Up to three leases: half of them outlast one and its settling.
            _ => Fault::Pause(millis(random.below(3 * lease))),
        };
        let moment = match random.below(2) {
            0 => Moment::Point(random.one_of(&POINTS)),
            _ => Moment::After(millis(random.below(90))),
        };
        Self {
            fault,
            moment,
            provider_takes,
            others: random.below(3),
        }
    }

    /// What was done, and where.
    pub(crate) fn kind(&self) -> String {
        let fault = match self.fault {
            Fault::Kill => "kill",
            Fault::Pause(_) => "pause",
        };
        match self.moment {
            Moment::Point(point) => format!("{fault} at {point}"),
            Moment::After(_) => format!("{fault} at a random moment"),
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::Kill => write!(f, "kill")?,
            Fault::Pause(long) => write!(f, "pause of {} ms", long.as_millis())?,
        }
        match self.moment {
            Moment::Point(point) => write!(f, " at {point}")?,
            Moment::After(long) => write!(f, " after {} ms", long.as_millis())?,
        }
        let takes = self.provider_takes.as_millis();
        write!(f, ", provider takes {takes} ms, {} others", self.others)
    }
}
