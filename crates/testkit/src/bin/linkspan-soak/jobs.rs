//! `soak jobs`: jobs of several kinds flow while the four processes that run them
//! are killed and stopped; in the end nothing is lost and nothing stale counts.

use std::cell::Cell;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use linkspan_jobs::cancel::{Which, cancel};
use linkspan_jobs::{NewJob, enqueue, limits, schedules};
use linkspan_shared::db::{Connection, Database, scalar};
use linkspan_testkit::workload::{self, Hopeless, Link, Wait, Work};
use linkspan_testkit::{TestDatabase, WorkerProgram};

use crate::blows::{Blow, Blowing, Order, hurt};
use crate::random::Random;

const LEASE: Duration = Duration::from_millis(600);
/// How long the rest may take when nobody is hurt any more.
const END: Duration = Duration::from_secs(180);
/// Groups that jobs are of; the first ones have limits.
const GROUPS: u64 = 6;
/// The points of a job and of its worker (`linkspan_shared::breakpoint`), and the
/// test kinds' own.
const BLOWS: Blowing = Blowing {
    points: &[
        "job.taken",
        "job.claimed",
        "job.ran",
        "job.settling",
        "job.settled",
        "keeper.promoted",
        "keeper.ticked",
        "enqueue.written",
        "enqueue.committed",
    ],
    kills: 6,
    longest_pause: 1_500,
};

/// What a round does, drawn before it happens.
struct Round {
    blow: Blow,
    /// Of each job: which, and how.
    jobs: Vec<NewJob>,
    /// A group whose jobs are cancelled.
    cancelled: Option<u64>,
    /// What is done to the schedules.
    schedule: u64,
}

impl Round {
    fn draw(random: &mut Random, n: u64) -> Result<Self> {
        let blow = Blow::draw(random, &BLOWS);
        let count = 2 + random.below(6);
        let jobs = (0..count).map(|index| draw_job(random, n, index));
        Ok(Self {
            blow,
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
    let order = Order {
        seed,
        count,
        lease: LEASE,
    };
    let added_by_rounds = Cell::new(0);
    let before = async |n, mut random| {
        let round = Round::draw(&mut random, n)?;
        let added = add(&db, &round).await?;
        added_by_rounds.set(added_by_rounds.get() + added);
        Ok(round.blow)
    };
    let (blows, workers) = hurt(&program, folder.path(), order, before).await?;
    let mut findings = Findings {
        added: added_by_rounds.get(),
        ..Findings::default()
    };
    finish(&db, &mut findings).await?;
    for worker in workers {
        worker.stop().await?;
    }
    judge(&db, &mut findings).await?;
    println!(
        "\nseed {seed}, {count} faults: {} kills and {} pauses in {:.0} s\n\
         {} jobs enqueued; effects that the store refused to a stale holder: {}",
        blows.kills,
        blows.pauses,
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
