//! Workers that are gone, and those that come back.

use std::time::Duration;

use linkspan_jobs::{Outcome, lease, limits, recover};
use uuid::Uuid;

use crate::world::{World, job};

async fn expire(world: &World, worker: Uuid) {
    let sql = format!(
        "UPDATE jobs.workers SET expires_at = now() - interval '1 s' WHERE id = '{worker}'"
    );
    world.run(&sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_jobs_of_a_lost_worker_run_again_and_its_word_no_longer_counts() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "g", Some(1))
        .await
        .unwrap();
    world.add(&[job(1).group("g"), job(2).group("g")]).await;
    let lost = world.take(10).await.remove(0);
    assert_eq!(
        recover(&mut *world.conn().await).await.unwrap(),
        Vec::<i64>::new()
    );
    expire(&world, world.worker).await;
    assert_eq!(recover(&mut *world.conn().await).await.unwrap(), [lost.id]);
    assert!(!world.settle(&lost, Outcome::Succeeded(None)).await);
    assert_eq!(world.running("g").await, (0, 0), "its place is free");
    let other = world.take(1).await;
    world.succeed(&other).await;
    assert_eq!(world.promote_all().await, 1);
    let again = world.take(1).await.remove(0);
    assert_eq!((again.id, again.attempt), (lost.id, 2));
    assert!(!world.settle(&lost, Outcome::Succeeded(None)).await);
    assert!(world.settle(&again, Outcome::Succeeded(None)).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_ends_every_worker_is_dead_in_the_end() {
    let world = World::new().await;
    world.add(&[job(1)]).await;
    for _ in 0..3 {
        world.beat(world.worker).await;
        assert_eq!(world.take(1).await.len(), 1);
        expire(&world, world.worker).await;
        assert_eq!(recover(&mut *world.conn().await).await.unwrap().len(), 1);
        world.promote_all().await;
    }
    assert_eq!(
        world
            .count("jobs.jobs WHERE state = 'dead' AND last_error LIKE '%worker died%'")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_says_what_is_held_and_what_nobody_wants_any_more() {
    let world = World::new().await;
    world.add(&[job(1), job(2)]).await;
    let taken = world.take(2).await;
    let mut conn = world.conn().await;
    let which = linkspan_jobs::cancel::Which::Id(taken[1].id);
    let cancelled = linkspan_jobs::cancel::cancel(&mut conn, which)
        .await
        .unwrap();
    assert_eq!((cancelled.waiting, cancelled.running), (0, 1));
    let mut held = lease::heartbeat(&mut conn, world.worker, Duration::from_secs(9), &[])
        .await
        .unwrap();
    held.sort_by_key(|held| held.id);
    let wanted: Vec<_> = held
        .iter()
        .map(|held| (held.id, held.cancel_requested))
        .collect();
    assert_eq!(wanted, [(taken[0].id, false), (taken[1].id, true)]);

    // A claim whose answer was lost: the worker knows nothing of the first.
    let first = held[0];
    assert_eq!(first.id, taken[0].id);
    lease::hand_back(&mut conn, &[first]).await.unwrap();
    assert_eq!(world.take(1).await[0].attempt, 1);

    // What it has claimed since is no longer what it was told of.
    let stale = lease::hand_back(&mut conn, &[first]).await.unwrap();
    assert_eq!(stale, linkspan_jobs::Settled::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_overruns_is_taken_from_a_living_worker() {
    let world = World::new().await;
    world.add(&[job(1)]).await;
    let taken = world.take(1).await.remove(0);
    world
        .run("UPDATE jobs.jobs SET deadline = now() - interval '29 s'")
        .await;
    assert!(recover(&mut *world.conn().await).await.unwrap().is_empty());
    world
        .run("UPDATE jobs.jobs SET deadline = now() - interval '31 s'")
        .await;
    assert_eq!(recover(&mut *world.conn().await).await.unwrap(), [taken.id]);
    assert_eq!(
        world
            .count("jobs.jobs WHERE last_error LIKE '%longer than it may%'")
            .await,
        1
    );
}
