//! A worker is killed at each point of its work, and another finds what it left.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use linkspan_jobs::claim::Reach;
use linkspan_jobs::{limits, schedules};
use linkspan_testkit::workload::{Link, Work};
use uuid::Uuid;

use crate::world::{World, job};

/// A chain of three, one with a limited group and a delay, the first of a
/// schedule, and one that a worker holds who was lost before.
const ALL: i64 = 6;

/// Those of `linkspan_shared::breakpoint` that concern jobs, and the test kinds' own.
const POINTS: [&str; 11] = [
    "job.taken",
    "job.claimed",
    "job.ran",
    "job.settling",
    "job.settled",
    "enqueue.written",
    "enqueue.committed",
    "keeper.promoted",
    "keeper.ticked",
    "keeper.recovered",
    "worker.leaving",
];

async fn fill(world: &World) {
    let mut conn = world.conn().await;
    let work = Work { takes: 5, fails: 0 };
    limits::set(&mut conn, "g", Some(1)).await.unwrap();
    let ghost = job(&work).group("g");
    world.add(&[ghost]).await;
    let taken = linkspan_jobs::claim(&mut conn, Uuid::now_v7(), 1, 1, Reach::All).await;
    assert_eq!(taken.unwrap().jobs.len(), 1);
    schedules::create(&mut conn, "s", "every day", &job(&work).group("g"))
        .await
        .unwrap();
    world.run("UPDATE jobs.schedules SET next_at = now()").await;
    let delay = Duration::from_millis(100);
    world
        .add(&[job(&Link { left: 2 }), job(&work).group("g").delay(delay)])
        .await;
}

async fn killed_at(point: &str) -> Result<(), String> {
    let world = World::new().await;
    fill(&world).await;
    let mut victim = match point {
        "worker.leaving" => {
            let victim = world.start("victim").await;
            world
                .until(ALL, "jobs.finished WHERE outcome = 'succeeded'")
                .await;
            testkit_arm(&world, point);
            victim.signal(rustix::process::Signal::TERM).unwrap();
            victim
        }
        _ => world.start_armed("victim", point, "kill").await,
    };
    let is_success = victim
        .ended()
        .await
        .map_err(|error| format!("{point}: {error}"))?;
    if is_success || victim.is_armed() {
        return Err(format!("{point}: it was not killed there"));
    }
    let rescuer = world.start("rescuer").await;
    world.until(0, "jobs.jobs").await;
    world
        .until(ALL, "jobs.finished WHERE outcome = 'succeeded'")
        .await;
    world.is_sound().await;
    assert_eq!(world.count("test_effects").await, ALL, "{point}");
    rescuer.stop().await.unwrap();
    let expired = "jobs.workers WHERE expires_at > now()";
    world.until(0, expired).await;
    Ok(())
}

fn testkit_arm(world: &World, point: &str) {
    linkspan_testkit::WorkerProcess::arm(&world.breakpoint("victim"), point, "kill").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_and_nothing_counts_twice_wherever_it_dies() {
    // A thread each: one that drops its database must not keep others from logging in.
    let runtime = tokio::runtime::Handle::current();
    let all = futures_util::stream::iter(POINTS.map(|point| {
        let runtime = runtime.clone();
        async move {
            let at_point = move || runtime.block_on(killed_at(point));
            let done = tokio::task::spawn_blocking(at_point).await;
            done.unwrap_or_else(|error| Err(format!("{point}: {error}")))
        }
    }));
    let done: Result<Vec<()>, String> = Box::pin(all.buffer_unordered(4).try_collect()).await;
    assert_eq!(done.map(|all| all.len()), Ok(POINTS.len()));
}

/// The points that the worker names are those at which it is killed.
#[test]
fn no_point_is_left_out() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../worker/src");
    let files = std::fs::read_dir(source).unwrap();
    let texts = files.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
    let text = texts.collect::<String>();
    let named = text.split("reach(\"").skip(1);
    let named: BTreeSet<&str> = named.filter_map(|rest| rest.split('"').next()).collect();
    let killed: BTreeSet<&str> = POINTS
        .into_iter()
        .filter(|point| !point.starts_with("enqueue."))
        .collect();
    assert_eq!(named, killed);
}
