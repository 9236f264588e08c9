//! `soak sync`: a thousand syncs run while their workers are killed and stopped, what
//! they read changes, and somebody triggers, pauses, starts, cancels, resets and
//! empties them; in the end each store has exactly what there is to be had.

mod follow;
mod judge;
mod round;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt as _, TryStreamExt as _};
use linkspan_records::Store;
use linkspan_shared::Core;
use linkspan_shared::connections::syncing::Arrange;
use linkspan_shared::db::{Database, scalar};
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_shared::vault::Keyring;
use linkspan_syncs::{Opts, Scope, functions};
use linkspan_testkit::upstream::{self, Way};
use linkspan_testkit::{TestApp, WorkerProgram};
use linkspan_worker::kinds;
use secrecy::ExposeSecret as _;
use serde_json::json;
use tokio_postgres::SimpleQueryMessage;

use self::follow::Followers;
use self::round::{Round, Slot};
use crate::blows::{Blows, Order, hurt};

const LEASE: Duration = Duration::from_millis(600);
/// Each with a sync of each function.
const CONNECTIONS: usize = 334;
/// The first of them, whose records readers follow and nobody empties.
const FOLLOWED: usize = 6;
const INTEGRATION: &str = "demo";
/// How long the rest may take when nobody is hurt any more.
const END: Duration = Duration::from_secs(400);
/// Connections that are made at once.
const AT_ONCE: usize = 4;

/// A connection, as the API names it and as tables do.
struct Connection {
    id: String,
    number: i64,
}

/// What all rounds share.
struct Ground {
    core: Core,
    db: Database,
    store: Store,
    environment: EnvironmentId,
    connections: Vec<Connection>,
    /// Places for variants, and whether there is one. Who changes one takes it away.
    slots: RefCell<BTreeMap<Slot, bool>>,
}

impl Ground {
    async fn execute(&self, sql: &str) -> Result<()> {
        let conn = self.db.conn().await?;
        let done = conn.client().batch_execute(sql).await;
        done.with_context(|| sql.to_owned())
    }

    async fn number(&self, sql: &str) -> Result<i64> {
        let conn = self.db.conn().await?;
        let found = scalar(&conn, sql).await;
        found.with_context(|| sql.to_owned())
    }

    /// The rows of a query, as text.
    async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>> {
        let conn = self.db.conn().await?;
        let found = conn.client().simple_query(sql).await;
        let rows = found.with_context(|| sql.to_owned())?.into_iter();
        let row = |message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|at| row.get(at).unwrap_or("").to_owned())
                    .collect(),
            ),
            _ => None,
        };
        Ok(rows.filter_map(row).collect())
    }

    /// All syncs.
    fn all(&self) -> Scope<'static> {
        Scope {
            environment: self.environment,
            integration: INTEGRATION,
            connection: None,
            names: &[],
        }
    }

    /// Lets nothing wait that waits to be repeated: after some deaths a job waits for
    /// half a minute; the rules are the same.
    async fn hurry(&self) -> Result<()> {
        self.execute(
            "UPDATE jobs.jobs SET run_at = now() WHERE id IN (SELECT id FROM jobs.jobs \
                WHERE state = 'delayed' AND run_at > now() FOR UPDATE SKIP LOCKED)",
        )
        .await
    }

    /// Waits until no job of a sync waits or runs.
    async fn settle(&self) -> Result<()> {
        let deadline = Instant::now() + END;
        let left = "SELECT count(*) FROM jobs.jobs WHERE state <> 'dead' AND kind LIKE 'syncs.%'";
        while self.number(left).await? > 0 {
            self.hurry().await?;
            if Instant::now() > deadline {
                let jobs = "SELECT kind, state, count(*), max(attempt), max(last_error) \
                    FROM jobs.jobs WHERE kind LIKE 'syncs.%' GROUP BY kind, state";
                bail!("jobs do not end: {:?}", self.rows(jobs).await?);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        Ok(())
    }
}

/// Runs it, and says what it found.
pub(crate) async fn run(program: PathBuf, seed: u64, count: u64) -> Result<()> {
    let begun = Instant::now();
    let folder = tempfile::tempdir()?;
    let key = Keyring::generate("soak")?;
    let key_file = folder.path().join("key");
    std::fs::write(&key_file, key.expose_secret())?;
    let app = TestApp::start_with(&[("LINKSPAN_VAULT_ROOT_KEYS", key.expose_secret())]).await;
    let ground = prepare(&app).await?;
    println!(
        "{} connections and their syncs are made in {:.0} s",
        CONNECTIONS,
        begun.elapsed().as_secs_f64()
    );
    let program = WorkerProgram {
        path: program,
        url: app.database.url(),
        direct_url: Some(app.database.direct_url()),
        arguments: vec![
            "--lease-ms".to_owned(),
            LEASE.as_millis().to_string(),
            "--root-key-file".to_owned(),
            key_file.to_string_lossy().into_owned(),
        ],
        variables: Vec::new(),
    };
    let order = Order {
        seed,
        count,
        lease: LEASE,
    };
    let followers = Followers::start(&ground);
    let before = async |n, mut random| {
        let round = Round::draw(&mut random, n);
        round.carry_out(&ground).await?;
        Ok(round.blow)
    };
    let (blows, workers) = hurt(&program, folder.path(), order, before).await?;
    let work = finish(&ground)
        .await
        .with_context(|| format!("seed {seed}"))?;
    for worker in workers {
        worker.stop().await?;
    }
    let mut wrong = followers.end(&ground).await?;
    wrong.extend(judge::judge(&ground).await?);
    report(&ground, order, blows, work).await?;
    println!("in {:.0} s", begun.elapsed().as_secs_f64());
    println!("again: cargo xtask soak sync --seed {seed} --count {count}");
    drop(ground);
    app.stop().await;
    if !wrong.is_empty() {
        bail!("seed {seed}: {}", wrong.join("\n"));
    }
    println!("every sync has what there is to be had, nothing stale accepted, nothing left over");
    Ok(())
}

/// Makes the connections and their syncs.
async fn prepare(app: &TestApp) -> Result<Ground> {
    let core = app.core.clone();
    let environment = app.dev.environment.id;
    app.create_demo(INTEGRATION).await;
    futures_util::stream::iter(0..CONNECTIONS)
        .map(|n| connect(app, n))
        .buffer_unordered(AT_ONCE)
        .try_collect::<()>()
        .await?;
    let mut ground = Ground {
        db: app.database.database(),
        store: Store::of(&core),
        environment,
        connections: Vec::new(),
        slots: RefCell::new(Slot::all().map(|slot| (slot, false)).collect()),
        core,
    };
    ground.execute(upstream::TABLES).await?;
    ground
        .execute("INSERT INTO test_upstream SELECT connection_id, 0 FROM connections")
        .await?;
    let connections = "SELECT connection_id, id FROM connections ORDER BY connection_id";
    for row in ground.rows(connections).await? {
        let [id, number] = <[String; 2]>::try_from(row).ok().context("two columns")?;
        let number = number.parse()?;
        ground.connections.push(Connection { id, number });
    }
    for way in Way::ALL {
        let mut definition = way.definition();
        // A thousand first runs would wait at the beginning, and a run whose worker is
        // stopped behind them, so that nobody would take it over before its worker
        // goes on.
        definition.auto_start = false;
        let function =
            functions::record(&ground.core, environment, INTEGRATION, &definition).await?;
        let arrange = Arrange {
            environment,
            integration: function.integration_id,
            connection: None,
        };
        linkspan_syncs::arrange(&ground.core, &arrange, || false).await?;
    }
    kinds::schedule(&ground.core).await?;
    Ok(ground)
}

async fn connect(app: &TestApp, n: usize) -> Result<()> {
    let body = json!({
        "provider_config_key": INTEGRATION,
        "connection_id": format!("c{n:03}"),
        "credentials": { "type": "OAUTH2", "access_token": "an access token" },
    });
    let reply = app.post("/connections", body).await;
    match reply.status.is_success() {
        true => Ok(()),
        false => bail!("{reply:?}"),
    }
}

/// How much there was to do when nobody was hurt any more, and how long it took.
struct Work {
    left: i64,
    seconds: f64,
}

/// Nobody is hurt any more: what is left is done, and then each sync once more, those
/// whose run died with every worker that had it among them.
async fn finish(ground: &Ground) -> Result<Work> {
    let begun = Instant::now();
    let left = "SELECT count(*) FROM jobs.jobs WHERE state <> 'dead' AND kind = 'syncs.run'";
    let left = ground.number(left).await?;
    ground.settle().await?;
    linkspan_syncs::start(&ground.core, &ground.all()).await?;
    linkspan_syncs::trigger(&ground.core, &ground.all(), Opts::default()).await?;
    ground.settle().await?;
    Ok(Work {
        left,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

async fn report(ground: &Ground, order: Order, blows: Blows, work: Work) -> Result<()> {
    let one = async |from: &str| ground.number(&format!("SELECT {from}")).await;
    let of = |outcome: &str| {
        format!("count(*) FROM jobs.finished WHERE kind = 'syncs.run' AND outcome = '{outcome}'")
    };
    println!(
        "\nseed {}, {} faults: {} kills and {} pauses\n\
         {} syncs; {} runs ended and {} were cancelled; {} were replaced while they ran, {} failed \
         after six workers had died in them\n\
         {} records; generations up to {}; {} runs were left in the end, and all ran once more, \
         in {:.0} s",
        order.seed,
        order.count,
        blows.kills,
        blows.pauses,
        one("count(*) FROM syncs").await?,
        one(&of("succeeded")).await?,
        one(&of("cancelled")).await?,
        one("count(*) FROM test_replaced").await?,
        one("count(*) FROM test_failed WHERE attempt > 6").await?,
        one("sum(live)::bigint FROM records.streams").await?,
        one("max(generation) FROM test_upstream").await?,
        work.left,
        work.seconds,
    );
    Ok(())
}
