//! Workers that are killed and stopped, each in a lane of its own.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use linkspan_testkit::{WorkerProcess, WorkerProgram};
use rustix::process::Signal;

use crate::plan::{Fault, Moment};
use crate::random::Random;

/// Processes that work, each of which is hurt in turn.
const WORKERS: u64 = 4;

/// What is done to a worker, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blow {
    fault: Fault,
    moment: Moment,
}

/// Which blows there are.
pub(crate) struct Blowing {
    /// Where they may be struck.
    pub(crate) points: &'static [&'static str],
    /// Of ten blows so many kill; the others stop a process for a while.
    pub(crate) kills: u64,
    /// In milliseconds.
    pub(crate) longest_pause: u64,
}

impl Blow {
    /// The next one: at one of the points, or at a random moment.
    pub(crate) fn draw(random: &mut Random, of: &Blowing) -> Self {
        let millis = Duration::from_millis;
        let fault = match random.below(10) < of.kills {
            true => Fault::Kill,
            false => Fault::Pause(millis(random.below(of.longest_pause))),
        };
        let moment = match random.below(2) {
            0 => Moment::Point(random.one_of(of.points)),
            _ => Moment::After(millis(random.below(120))),
        };
        Self { fault, moment }
    }
}

/// How many there were.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Blows {
    pub(crate) kills: u64,
    pub(crate) pauses: u64,
}

/// A sequence of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Order {
    pub(crate) seed: u64,
    pub(crate) count: u64,
    /// The lease of the workers.
    pub(crate) lease: Duration,
}

/// Hurts four workers in turn: what round number N does before it, `before` draws
/// from the seed and from N alone. The workers that are left.
pub(crate) async fn hurt(
    program: &WorkerProgram,
    folder: &Path,
    order: Order,
    before: impl AsyncFn(u64, Random) -> Result<Blow>,
) -> Result<(Blows, Vec<WorkerProcess>)> {
    let all = RefCell::new((0, Blows::default()));
    let next = || {
        let (next, _) = &mut *all.borrow_mut();
        *next += 1;
        *next - 1
    };
    let note = |fault| {
        let (_, blows) = &mut *all.borrow_mut();
        match fault {
            Fault::Kill => blows.kills += 1,
            Fault::Pause(_) => blows.pauses += 1,
        }
        let faults = blows.kills + blows.pauses;
        if faults.is_multiple_of(100) {
            println!("{faults} faults");
        }
    };
    let lane = async |number: u64| {
        let file = folder.join(format!("worker-{number}"));
        let mut victim = WorkerProcess::start(program, &file).await?;
        loop {
            let n = next();
            if n >= order.count {
                return anyhow::Ok(victim);
            }
            let round = async {
                let blow = before(n, Random::new(order.seed, n)).await?;
                strike(program, &mut victim, &file, (blow, order.lease)).await?;
                anyhow::Ok(blow)
            };
            let done = round.await;
            let blow = done.with_context(|| format!("round {n} of seed {}", order.seed))?;
            note(blow.fault);
        }
    };
    let workers = futures_util::future::try_join_all((0..WORKERS).map(lane)).await?;
    Ok((all.into_inner().1, workers))
}

async fn strike(
    program: &WorkerProgram,
    victim: &mut WorkerProcess,
    file: &Path,
    (blow, lease): (Blow, Duration),
) -> Result<()> {
    let (what, signal) = match blow.fault {
        Fault::Kill => ("kill", Signal::KILL),
        Fault::Pause(_) => ("stop", Signal::STOP),
    };
    match blow.moment {
        Moment::After(long) => {
            tokio::time::sleep(long).await;
            victim.signal(signal)?;
        }
        Moment::Point(point) => {
            WorkerProcess::arm(file, point, what)?;
            let is_there = async {
                while victim.is_armed() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            };
            // Others may have done what there was to do.
            if tokio::time::timeout(lease * 2, is_there).await.is_err() {
                let _ = std::fs::remove_file(file);
                victim.signal(signal)?;
            }
        }
    }
    match blow.fault {
        Fault::Kill => {
            victim.ended().await?;
            *victim = WorkerProcess::start(program, file).await?;
        }
        Fault::Pause(long) => {
            tokio::time::sleep(long).await;
            victim.signal(Signal::CONT)?;
        }
    }
    Ok(())
}
