//! Workers that are killed at every named point of a run.
//!
//! A worker that is to be killed is this very test binary, run again with what it
//! is to do in its environment.
#![expect(
    clippy::disallowed_methods,
    reason = "a process that is to be killed is told what to do by its environment"
)]

use std::env;
use std::process::Stdio;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use linkspan_shared::assemble::assemble;
use linkspan_shared::breakpoint;
use linkspan_shared::config::Config;
use linkspan_shared::db::{Database, Settings};
use linkspan_syncs::{Natives, Opts, RunContext, Running, State};
use rustix::process::{Signal, getpid, kill_process};
use secrecy::ExposeSecret as _;
use serde_json::Map;
use tokio::process::{Child, Command};

use crate::world::{World, save, worker};

const PATIENCE: Duration = Duration::from_secs(60);

/// Where the child is to die, and how often it passes there before.
static DEATH: OnceLock<(String, AtomicU32)> = OnceLock::new();

fn reached(point: &'static str) {
    let Some((name, left)) = DEATH.get() else {
        return;
    };
    if name == point && left.fetch_sub(1, Ordering::SeqCst) == 0 {
        let _ = kill_process(getpid(), Signal::KILL);
        std::thread::sleep(PATIENCE);
    }
}

/// Saves three pages, each with a checkpoint, and deletes what it has not seen.
fn pages(context: &RunContext) -> Running<'_> {
    Box::pin(async {
        context.track_deletes_start("Item").await?;
        let read = context.checkpoint().await?;
        let first = read.and_then(|value| value["next"].as_u64()).unwrap_or(0);
        for page in first..3 {
            let ids = [format!("{page}-a"), format!("{page}-b")];
            save(context, &[&*ids[0], &*ids[1]], 1).await?;
            let mut value = Map::new();
            value.insert("next".to_owned(), (page + 1).into());
            context.save_checkpoint(value).await?;
        }
        context.clear_checkpoint().await?;
        context.track_deletes_end("Item").await.map(drop)
    })
}

/// A worker that dies at a point, after it has passed it so often.
fn child(world: &World, point: &str, passes: u32) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "killed::the_child", "--ignored"])
        .env("CHILD_DEATH", format!("{point}/{passes}"))
        .env("CHILD_DATABASE", world.app.database.url().expose_secret())
        .env("CHILD_KEY", world.key.expose_secret())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Not a test: what a killed process runs.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by the others as another process"]
async fn the_child() {
    let Ok(death) = env::var("CHILD_DEATH") else {
        return;
    };
    let (point, passes) = death.split_once('/').unwrap();
    let death = (point.to_owned(), AtomicU32::new(passes.parse().unwrap()));
    DEATH.set(death).unwrap();
    breakpoint::install(reached);
    let url = env::var("CHILD_DATABASE").unwrap();
    let pairs = [
        ("LINKSPAN_DATABASE_URL", url.clone()),
        ("LINKSPAN_VAULT_ROOT_KEYS", env::var("CHILD_KEY").unwrap()),
    ];
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value));
    let config = Config::load(None, pairs).unwrap();
    let (core, _writer) = assemble(&config).await.unwrap();
    let db = Database::new(&Settings {
        url: url.into(),
        max_connections: 4,
        timeout: Duration::from_secs(30),
    });
    let _running = worker(&core, db.unwrap(), Natives::new().with("items", pages));
    tokio::time::sleep(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_may_be_killed_at_every_point_of_a_run() {
    let mut world = World::idle().await;
    world.record(|function| function.auto_start = false).await;
    world.work(Natives::new()).await;
    world.until("it is there", |_| true).await;
    world.stop_worker().await;
    // A record that is not there any more is to be gone after each of the runs.
    let stale = [r#"{"id":"stale","value":0}"#];
    let stream = world.app.stream("demo", "one", "Item").await;
    let all: Vec<_> = ["0-a", "0-b", "1-a", "1-b", "2-a", "2-b"]
        .map(|id| (id.to_owned(), 1))
        .into();
    for (point, passes) in [
        ("sync.begun", 0),
        ("sync.emptied", 0),
        ("sync.saved", 0),
        ("sync.saved", 2),
        ("sync.checkpointed", 1),
        ("sync.checkpointed", 2),
        ("sync.cleared", 0),
        ("records.piece", 0),
        ("sync.ran", 0),
        ("sync.finished", 0),
    ] {
        let what = format!("{point} {passes}");
        let opts = Opts {
            reset: true,
            empty_cache: passes == 2,
        };
        linkspan_syncs::trigger(&world.app.core, &world.scope(&[]), opts)
            .await
            .unwrap();
        if passes != 2 {
            world.app.save_records(&stream, &stale).await;
        }
        let mut child = child(&world, point, passes);
        let died = tokio::time::timeout(PATIENCE, child.wait()).await;
        assert!(!died.expect("it dies").unwrap().success(), "{what}");
        world.work(Natives::new().with("items", pages)).await;
        let live = "SELECT count(*) FROM jobs.jobs WHERE kind LIKE 'syncs.%'";
        world.until_number(live, 0).await;
        let status = world.statuses().await.remove(0);
        assert_eq!(
            (status.state, status.checkpoint),
            (State::Paused, None),
            "{what}"
        );
        let succeeded = "SELECT count(*) FROM syncs WHERE run_status = 'succeeded' \
            AND NOT is_reset_due AND empties_asked = empties_done";
        assert_eq!(world.number(succeeded).await, 1, "{what}");
        assert_eq!(world.items().await, all, "{what}");
        let dead = "SELECT count(*) FROM jobs.jobs WHERE state = 'dead'";
        assert_eq!(world.number(dead).await, 0, "{what}");
        world.stop_worker().await;
    }
    world.end().await;
}
