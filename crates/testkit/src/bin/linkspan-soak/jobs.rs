//! `soak jobs`: jobs of several kinds flow while the four processes that run them
//! are killed and stopped; in the end nothing is lost and nothing stale counts.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use linkspan_jobs::cancel::{Which, cancel};
use linkspan_jobs::{NewJob, enqueue, limits, schedules};
use linkspan_shared::db::{Connection, Database, scalar};
use linkspan_testkit::workload::{self, Hopeless, Link, Wait, Work};
use linkspan_testkit::{TestDatabase, WorkerProcess, WorkerProgram};
use rustix::process::Signal;

use crate::plan::{Fault, Moment};
use crate::random::Random;

const LEASE: Duration = Duration::from_millis(600);
/// Processes that work, each of which is hurt in turn.
const WORKERS: u64 = 4;
/// How long the rest may take when nobody is hurt any more.
const END: Duration = Duration::from_secs(180);
/// Groups that jobs are of; the first ones have limits.
const GROUPS: u64 = 6;
/// The points of a job and of its worker (`linkspan_shared::breakpoint`), and the
/// test kinds' own.
const POINTS: [&str; 9] = [
    "job.taken",
    "job.claimed",
    "job.ran",
    "job.settling",
    "job.settled",
    "keeper.promoted",
    "keeper.ticked",
    "enqueue.written",
    "enqueue.committed",
];

/// What a round does, drawn before it happens.
struct Round {
    fault: Fault,
    moment: Moment,
    /// Of each job: which, and how.
    jobs: Vec<NewJob>,
    /// A group whose jobs are cancelled.
    cancelled: Option<u64>,
    /// What is done to the schedules.
    schedule: u64,
}

impl Round {
    fn draw(random: &mut Random, n: u64) -> Result<Self> {
        let millis = Duration::from_millis;
        let fault = match random.below(10) {
            0..6 => Fault::Kill,
            _ => Fault::Pause(millis(random.below(1_500))),
        };
        let moment = match random.below(2) {
            0 => Moment::Point(random.one_of(&POINTS)),
            _ => Moment::After(millis(random.below(120))),
        };
        let count = 2 + random.below(6);
        let jobs = (0..count).map(|index| draw_job(random, n, index));
        Ok(Self {
            fault,
            moment,
            jobs: jobs.collect::<Result<_>>()?,
            cancelled: (random.below(12) == 0).then(|| random.below(GROUPS)),
            schedule: random.below(8),
        })
    }
}

fn draw_job(random: &mut Random, n: u64, index: u64) -> Result<NewJob> {
    let job = match random.below(20) {
        0..3 => NewJob::new(&Link {
            left: u32::try_from(random.below(4))?,
        })?,
        // Cancelled at the end, if not before.
        3 => NewJob::new(&Wait)?.unique_key(format!("wait {}", random.below(3))),
        4 => NewJob::new(&Hopeless)?,
        5 => NewJob::new(&Work { takes: 1, fails: 0 })?.unique_key(format!("once {n} {index}")),
        _ => NewJob::new(&Work {
            takes: random.below(40),
            fails: u16::try_from(random.below(3))?,
        })?,
    };
    let group = random.below(GROUPS);
    let job = job
        .group(format!("g{group}"))
        .tenant(format!("t{}", group % 2));
    Ok(match random.below(3) {
        0 => job.delay(Duration::from_millis(random.below(400))),
        _ => job,
    })
}

/// What a run has found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    kills: u64,
    pauses: u64,
    added: i64,
    refused: i64,
    wrong: Vec<String>,
}

/// Runs it, and says what it found.
pub(crate) async fn run(program: PathBuf, seed: u64, count: u64) -> Result<()> {
    let begun = Instant::now();
    let database = TestDatabase::new().await;
    let folder = tempfile::tempdir()?;
    let db = database.database();
    db.conn()
        .await?
        .client()
        .batch_execute(workload::TABLES)
        .await?;
    prepare(&mut *db.conn().await?).await?;
    let program = WorkerProgram {
        path: program,
        url: database.url(),
        direct_url: Some(database.direct_url()),
        arguments: vec!["--lease-ms".to_owned(), LEASE.as_millis().to_string()],
        variables: Vec::new(),
    };
    let ground = Ground {
        seed,
        count,
        db: db.clone(),
        program,
        next: AtomicU64::new(0),
        findings: Mutex::default(),
    };
    let lanes = (0..WORKERS).map(|number| lane(&ground, folder.path(), number));
    let workers = futures_util::future::try_join_all(lanes).await?;
    let findings = ground.findings.into_inner();
    let mut findings = findings.unwrap_or_else(PoisonError::into_inner);
    finish(&db, &mut findings).await?;
    for worker in workers {
        worker.stop().await?;
    }
    judge(&db, &mut findings).await?;
    println!(
        "\nseed {seed}, {count} faults: {} kills and {} pauses in {:.0} s\n\
         {} jobs enqueued; effects that the store refused to a stale holder: {}",
        findings.kills,
        findings.pauses,
        begun.elapsed().as_secs_f64(),
        findings.added,
        findings.refused,
    );
    println!("again: cargo xtask soak jobs --seed {seed} --count {count}");
    drop(database);
    if !findings.wrong.is_empty() {
        bail!("{}", findings.wrong.join("\n"));
    }
    println!("nothing lost, nothing stale accepted, no counter off, no worker left");
    Ok(())
}

/// What all lanes share.
struct Ground {
    seed: u64,
    count: u64,
    db: Database,
    program: WorkerProgram,
    next: AtomicU64,
    findings: Mutex<Findings>,
}

impl Ground {
    fn note(&self, what: impl FnOnce(&mut Findings)) {
        what(&mut self.findings.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// One round after the other, with a worker of its own. What round number N adds
/// and does depends on the seed and on N alone. The worker that is left.
async fn lane(ground: &Ground, folder: &Path, number: u64) -> Result<WorkerProcess> {
    let file = folder.join(format!("worker-{number}"));
    let mut victim = WorkerProcess::start(&ground.program, &file).await?;
    loop {
        let n = ground.next.fetch_add(1, Ordering::Relaxed);
        if n >= ground.count {
            return Ok(victim);
        }
        let round = Round::draw(&mut Random::new(ground.seed, n), n)?;
        let added = add(&ground.db, &round).await?;
        ground.note(|findings| findings.added += added);
        hurt(&ground.program, &mut victim, &file, &round)
            .await
            .with_context(|| format!("round {n} of seed {}", ground.seed))?;
        ground.note(|findings| {
            match round.fault {
                Fault::Kill => findings.kills += 1,
                Fault::Pause(_) => findings.pauses += 1,
            }
            let faults = findings.kills + findings.pauses;
            if faults.is_multiple_of(100) {
                println!("{faults} faults, {} jobs enqueued", findings.added);
            }
        });
    }
}

async fn prepare(conn: &mut Connection) -> Result<()> {
    limits::set(conn, "g0", Some(1)).await?;
    limits::set(conn, "g1", Some(3)).await?;
    limits::set(conn, "t0", Some(6)).await?;
    for n in 0..3 {
        let job = NewJob::new(&Work {
            takes: 10,
            fails: 1,
        })?
        .group("g1");
        schedules::create(conn, &format!("s{n}"), "every 30s", &job).await?;
    }
    Ok(())
}

/// Adds, cancels and changes what the round says; how many jobs were added.
async fn add(db: &Database, round: &Round) -> Result<i64> {
    let mut conn = db.conn().await?;
    let added = enqueue(&mut conn, &round.jobs).await?;
    let added = added.iter().filter(|one| one.id().is_some()).count();
    if let Some(group) = round.cancelled {
        cancel(&mut conn, Which::Group(&format!("g{group}"))).await?;
    }
    match round.schedule {
        0 => drop(schedules::pause(&mut conn, "s0").await?),
        1 => drop(schedules::resume(&mut conn, "s0").await?),
        2 => drop(schedules::update(&mut conn, "s1", "every 45s").await?),
        _ => {}
    }
    let due = "UPDATE jobs.schedules SET next_at = now() WHERE next_at > now()";
    conn.client().batch_execute(due).await?;
    Ok(i64::try_from(added)?)
}

async fn hurt(
    program: &WorkerProgram,
    victim: &mut WorkerProcess,
    file: &Path,
    round: &Round,
) -> Result<()> {
    let (what, signal) = match round.fault {
        Fault::Kill => ("kill", Signal::KILL),
        Fault::Pause(_) => ("stop", Signal::STOP),
    };
    match round.moment {
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
            if tokio::time::timeout(LEASE * 2, is_there).await.is_err() {
                let _ = std::fs::remove_file(file);
                victim.signal(signal)?;
            }
        }
    }
    match round.fault {
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

/// Nobody is hurt any more: all that is left is worked off.
async fn finish(db: &Database, findings: &mut Findings) -> Result<()> {
    let conn = &mut *db.conn().await?;
    for n in 0..3 {
        schedules::pause(conn, &format!("s{n}")).await?;
    }
    let deadline = Instant::now() + END;
    let left = "SELECT count(*) FROM jobs.jobs WHERE state <> 'dead'";
    while scalar::<i64>(conn, left).await? > 0 {
        for n in 0..3 {
            cancel(conn, Which::UniqueKey(&format!("wait {n}"))).await?;
        }
        // After some deaths a job waits for minutes; the rules are the same.
        let hurry = "UPDATE jobs.jobs SET run_at = now() WHERE state = 'delayed'";
        conn.client().batch_execute(hurry).await?;
        if Instant::now() > deadline {
            findings.wrong.push(format!(
                "{} jobs neither finished nor dead",
                scalar::<i64>(conn, left).await?
            ));
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// What must be none, and how many there are.
const WRONG: [(&str, &str); 9] = [
    (
        "jobs finished twice",
        "(SELECT id FROM jobs.finished GROUP BY id HAVING count(*) > 1) AS t",
    ),
    (
        "jobs finished and still there",
        "jobs.finished f JOIN jobs.jobs j USING (id)",
    ),
    (
        "results of a holder that was not the last",
        "jobs.finished f WHERE outcome = 'succeeded' AND f.output::text::bigint <> \
            (SELECT max(r.fence) FROM test_runs r WHERE r.job = f.id)",
    ),
    (
        "effects of a holder that was not the one that counts",
        "jobs.finished f JOIN test_effects e ON e.job = f.id \
            WHERE outcome = 'succeeded' AND e.fence <> f.output::text::bigint",
    ),
    (
        "jobs that count without their effect",
        "jobs.finished f WHERE outcome = 'succeeded' \
            AND NOT EXISTS (SELECT 1 FROM test_effects e WHERE e.job = f.id)",
    ),
    (
        "jobs dead that could succeed",
        "jobs.jobs WHERE state = 'dead' AND kind <> 'test.hopeless'",
    ),
    (
        "ids of jobs that are nowhere",
        "test_runs r WHERE NOT EXISTS (SELECT 1 FROM jobs.jobs j WHERE j.id = r.job) \
            AND NOT EXISTS (SELECT 1 FROM jobs.finished f WHERE f.id = r.job)",
    ),
    (
        "limits whose counter is not 0",
        "jobs.limits WHERE running <> 0",
    ),
    (
        "workers that count as living",
        "jobs.workers WHERE expires_at > now()",
    ),
];

async fn judge(db: &Database, findings: &mut Findings) -> Result<()> {
    let conn = &mut *db.conn().await?;
    for (what, from) in WRONG {
        let sql = format!("SELECT count(*) FROM {from}");
        let count = scalar::<i64>(conn, &sql).await?;
        if count > 0 {
            findings.wrong.push(format!("{count} {what}"));
        }
    }
    // What was acknowledged, the links that effects made, what schedules made: an
    // id is taken from the sequence for a job that is refused by its key, too.
    let accounted = "SELECT count(*) FROM (SELECT id FROM jobs.jobs WHERE schedule_id IS NULL \
        UNION ALL SELECT id FROM jobs.finished WHERE schedule_id IS NULL) AS t";
    let accounted = scalar::<i64>(conn, accounted).await?;
    let links = "SELECT count(*) FROM test_links";
    let links = scalar::<i64>(conn, links).await?;
    if accounted != findings.added + links {
        findings.wrong.push(format!(
            "{} jobs were enqueued and {links} by jobs, but {accounted} are accounted for",
            findings.added
        ));
    }
    findings.refused = scalar(conn, "SELECT count(*) FROM test_refused").await?;
    Ok(())
}
