//! What happens to syncs in a round.

use anyhow::Result;
use linkspan_syncs::{Error, Name, Opts, Scope};
use linkspan_testkit::upstream::Way;

use super::{CONNECTIONS, FOLLOWED, Ground, INTEGRATION};
use crate::blows::{Blow, Blowing};
use crate::random::Random;

/// At the points of a run, of its stores and of its worker
/// (`linkspan_shared::breakpoint`). Most pauses outlast a lease.
const BLOWS: Blowing = Blowing {
    points: &[
        "sync.begun",
        "sync.emptied",
        "sync.saved",
        "sync.saved",
        "sync.checkpointed",
        "sync.cleared",
        "sync.ran",
        "sync.finished",
        "records.compared",
        "records.committed",
        "records.locked",
        "records.written",
        "records.piece",
        "job.taken",
        "job.claimed",
        "job.ran",
        "job.settling",
        "job.settled",
    ],
    kills: 8,
    longest_pause: 4_000,
};

/// Where a variant may be: a connection's number in the list, a way's, and a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot {
    connection: usize,
    way: usize,
    name: &'static str,
}

impl Slot {
    /// All of them.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        (FOLLOWED..FOLLOWED + 24).flat_map(|connection| {
            ["a", "b"].map(|name| Self {
                connection,
                way: connection % Way::ALL.len(),
                name,
            })
        })
    }

    fn draw(random: &mut Random) -> Option<Self> {
        Self::all().nth(below(random, 48))
    }

    /// The connection's place in the list, the way, and the variant.
    pub(super) fn parts(self) -> (usize, Way, &'static str) {
        (self.connection, Way::ALL[self.way], self.name)
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Trigger(Opts),
    Pause,
    Start,
    Cancel,
}

/// What is told to a connection's syncs: to one of the base, or to all.
#[derive(Debug, Clone, Copy)]
struct Told {
    act: Act,
    connection: usize,
    way: Option<Way>,
}

impl Told {
    fn draw(random: &mut Random) -> Self {
        let connection = below(random, CONNECTIONS);
        let way = (random.below(2) == 0).then(|| random.one_of(&Way::ALL));
        let trigger = |reset, empty| {
            Act::Trigger(Opts {
                reset,
                empty_cache: empty && connection >= FOLLOWED,
            })
        };
        let (act, way) = match random.below(20) {
            0..11 => (trigger(false, false), way),
            11..13 => (trigger(true, false), way),
            13..15 => (trigger(true, true), way),
            // The others would go on from their checkpoints, as they were told.
            15 => (trigger(false, true), Some(Way::Whole)),
            16 => (Act::Pause, way),
            17..19 => (Act::Start, way),
            _ => (Act::Cancel, way),
        };
        Self {
            act,
            connection,
            way,
        }
    }
}

/// What a round does, drawn before it happens.
pub(super) struct Round {
    pub(super) blow: Blow,
    /// Connections of which there is something new.
    raised: Vec<usize>,
    told: Vec<Told>,
    /// A variant that is made, or deleted.
    variant: Option<Slot>,
    is_hurried: bool,
    is_cleaned: bool,
}

impl Round {
    pub(super) fn draw(random: &mut Random, n: u64) -> Self {
        let blow = Blow::draw(random, &BLOWS);
        let mut raised: Vec<usize> = (0..=random.below(2))
            .map(|_| below(random, CONNECTIONS))
            .collect();
        if random.below(12) == 0 {
            raised.push(below(random, FOLLOWED));
        }
        // Few enough for none to wait long: a run whose worker is stopped is taken over
        // after those that wait.
        let mut told: Vec<Told> = (0..=random.below(4)).map(|_| Told::draw(random)).collect();
        if n.is_multiple_of(3) {
            told.push(Told {
                act: Act::Trigger(Opts::default()),
                connection: below(random, FOLLOWED),
                way: None,
            });
        }
        let is_variant = random.below(4) == 0;
        Self {
            blow,
            raised,
            told,
            variant: if is_variant { Slot::draw(random) } else { None },
            is_hurried: random.below(2) == 0,
            is_cleaned: random.below(20) == 0,
        }
    }

    pub(super) async fn carry_out(&self, ground: &Ground) -> Result<()> {
        for connection in &self.raised {
            let id = &ground.connections[*connection].id;
            let raise = "UPDATE test_upstream SET generation = generation + 1 WHERE connection";
            ground.execute(&format!("{raise} = '{id}'")).await?;
        }
        for told in &self.told {
            tell(ground, told).await?;
        }
        if let Some(slot) = self.variant {
            turn(ground, slot).await?;
        }
        if self.is_hurried {
            ground.hurry().await?;
        }
        if self.is_cleaned {
            let due = "UPDATE jobs.schedules SET next_at = now() WHERE key = 'records.clean'";
            ground.execute(due).await?;
        }
        Ok(())
    }
}

fn below(random: &mut Random, end: usize) -> usize {
    usize::try_from(random.below(end as u64)).unwrap_or(0)
}

async fn tell(ground: &Ground, told: &Told) -> Result<()> {
    let names: Vec<Name> = told
        .way
        .map(|way| Name::base(way.name()))
        .into_iter()
        .collect();
    let scope = Scope {
        environment: ground.environment,
        integration: INTEGRATION,
        connection: Some(&ground.connections[told.connection].id),
        names: &names,
    };
    match told.act {
        Act::Trigger(opts) => linkspan_syncs::trigger(&ground.core, &scope, opts).await?,
        Act::Pause => linkspan_syncs::pause(&ground.core, &scope).await?,
        Act::Start => linkspan_syncs::start(&ground.core, &scope).await?,
        Act::Cancel => linkspan_syncs::cancel(&ground.core, &scope).await?,
    }
    Ok(())
}

/// Makes the variant that is not there, or deletes the one that is.
async fn turn(ground: &Ground, slot: Slot) -> Result<()> {
    let taken = ground.slots.borrow_mut().remove(&slot);
    // Another round is at it.
    let Some(is_there) = taken else {
        return Ok(());
    };
    let (connection, way, variant) = slot.parts();
    let of = (INTEGRATION, &*ground.connections[connection].id);
    let name = Name {
        name: way.name().to_owned(),
        variant: variant.to_owned(),
    };
    let environment = ground.environment;
    let is_there = match is_there {
        true => {
            linkspan_syncs::delete_variant(&ground.core, &ground.store, environment, of, &name)
                .await?;
            false
        }
        false => match linkspan_syncs::create_variant(&ground.core, environment, of, &name).await {
            Ok(_) => true,
            Err(Error::VariantIsLeaving(_)) => false,
            Err(error) => return Err(error.into()),
        },
    };
    ground.slots.borrow_mut().insert(slot, is_there);
    Ok(())
}
