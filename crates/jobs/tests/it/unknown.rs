//! Jobs of kinds that whoever claims them does not know.

use std::time::Duration;

use linkspan_jobs::claim::{Reach, claim_but};
use linkspan_jobs::limits::Known;
use linkspan_jobs::{Kind as _, Outcome, dead, lease, unknown};
use uuid::Uuid;

use crate::world::{Numbered, World, job, numbers};

/// A world in which no worker knows any kind.
async fn ignorant() -> World {
    let world = World::new().await;
    knows(&world, world.worker, &[]).await;
    world
}

async fn knows(world: &World, worker: Uuid, kinds: &[&str]) {
    let lease = Duration::from_secs(60);
    lease::heartbeat(&mut *world.conn().await, worker, lease, kinds)
        .await
        .unwrap();
}

async fn since(world: &World, interval: &str) {
    let sql = format!("UPDATE jobs.jobs SET unknown_since = now() - interval '{interval}'");
    world.run(&sql).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_put_off_longer_each_time_and_keeps_its_attempts() {
    let world = ignorant().await;
    world
        .add(&[job(1).start_within(Duration::from_secs(9_000))])
        .await;
    for (so_far, least, most) in [
        ("0", "0.4 s", "1 s"),
        ("40 s", "19 s", "41 s"),
        ("5 minutes", "149 s", "302 s"),
        ("23 hours", "299 s", "600 s"),
    ] {
        let taken = world.take(1).await.remove(0);
        assert_eq!(taken.attempt, 1, "after {so_far}");
        since(&world, so_far).await;
        assert!(world.settle(&taken, Outcome::Unknown).await);
        let waits = format!(
            "jobs.jobs WHERE state = 'delayed' AND attempt = 0 AND start_by IS NOT NULL \
             AND last_error LIKE '%does not know the kind test.numbered' \
             AND run_at BETWEEN now() + interval '{least}' - interval '0.4 s' \
                AND now() + interval '{most}'"
        );
        assert_eq!(world.count(&waits).await, 1, "after {so_far}");
        assert_eq!(world.promote_all().await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_day_without_anybody_it_is_dead_and_says_what_to_do() {
    let world = ignorant().await;
    let id = world.add(&[job(1)]).await[0];
    let taken = world.take(1).await.remove(0);
    since(&world, "25 hours").await;
    assert!(world.settle(&taken, Outcome::Unknown).await);
    let mut conn = world.conn().await;
    let dead = dead::list(&mut conn, None, 10).await.unwrap().remove(0);
    let error = dead.last_error.unwrap();
    assert!(error.contains("test.numbered"), "{error}");
    let command = format!("linkspan jobs retry {id}");
    assert!(error.contains(&command), "{error}");
    // Retried, it has another day.
    assert!(dead::retry(&mut conn, id).await.unwrap());
    world.promote_all().await;
    let taken = world.take(1).await.remove(0);
    assert!(world.settle(&taken, Outcome::Unknown).await);
    assert_eq!(world.count("jobs.jobs WHERE state = 'delayed'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lives_and_knows_it_gets_it_in_a_moment_however_long_it_waited() {
    let world = ignorant().await;
    let other = Uuid::now_v7();
    knows(&world, other, &["test.other", Numbered::NAME]).await;
    world.add(&[job(1)]).await;
    let taken = world.take(1).await.remove(0);
    since(&world, "25 hours").await;
    assert!(world.settle(&taken, Outcome::Unknown).await);
    let soon = "jobs.jobs WHERE state = 'delayed' AND run_at <= now() + interval '1 s'";
    assert_eq!(world.count(soon).await, 1);
    world.promote_all().await;
    // Who knows it runs it, which fails: the count begins anew.
    let taken = world.take(1).await.remove(0);
    let retry = Outcome::Retry {
        error: "no luck".to_owned(),
        after: Duration::ZERO,
    };
    assert!(world.settle(&taken, retry).await);
    let anew = "jobs.jobs WHERE unknown_since IS NULL AND attempt = 1";
    assert_eq!(world.count(anew).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_frees_its_place_and_a_stale_holder_says_nothing_of_it() {
    let world = ignorant().await;
    linkspan_jobs::limits::set(&mut *world.conn().await, "g", Some(1))
        .await
        .unwrap();
    world.add(&[job(1).group("g"), job(2).group("g")]).await;
    let taken = world.take(10).await.remove(0);
    assert!(world.settle(&taken, Outcome::Unknown).await);
    assert_eq!(world.running("g").await, (0, 0));
    assert!(!world.settle(&taken, Outcome::Unknown).await);
    assert_eq!(numbers(&world.take(10).await), [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_leaves_to_others_what_they_know() {
    let world = ignorant().await;
    let other = Uuid::now_v7();
    knows(&world, other, &[Numbered::NAME, "test.other"]).await;
    let kinds = [Numbered::NAME.to_owned(), "test.nobodys".to_owned()];
    let mut conn = world.conn().await;
    let known = unknown::known_to_others(&mut conn, &kinds).await.unwrap();
    assert_eq!(known, [Numbered::NAME]);
    world.add(&[job(1), job(2)]).await;
    world
        .run("UPDATE jobs.jobs SET kind = 'test.old' WHERE payload::text = '2'")
        .await;
    let mine = claim_but(
        &mut conn,
        world.worker,
        10,
        10,
        Reach::All,
        (&known, &Known::default()),
    )
    .await;
    assert_eq!(numbers(&mine.unwrap().jobs), [2]);
    assert_eq!(numbers(&world.take(10).await), [1]);
    // A worker that is gone knows nothing.
    world
        .run("UPDATE jobs.workers SET expires_at = now() - interval '1 s'")
        .await;
    let known = unknown::known_to_others(&mut conn, &kinds).await.unwrap();
    assert_eq!(known, Vec::<String>::new());
}
