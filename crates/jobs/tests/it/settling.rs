//! What becomes of runs.

use std::time::Duration;

use linkspan_jobs::{Error, Outcome, dead, enqueue};

use crate::world::{World, job, numbers};

fn retry() -> Outcome {
    Outcome::Retry {
        error: "no luck".to_owned(),
        after: Duration::from_secs(30),
    }
}

fn fail() -> Outcome {
    Outcome::Dead {
        error: "it\0broke".to_owned(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_leaves_the_hot_table_with_its_result() {
    let world = World::new().await;
    world.add(&[job(1).tenant("one")]).await;
    let taken = world.take(1).await;
    let done = Outcome::Succeeded(Some(r#"{"records":3}"#.to_owned()));
    assert!(world.settle(&taken[0], done).await);
    assert_eq!(world.count("jobs.jobs").await, 0);
    let kept = "jobs.finished WHERE outcome = 'succeeded' AND tenant = 'one' AND attempt = 1 \
        AND output->>'records' = '3' AND started_at IS NOT NULL";
    assert_eq!(world.count(kept).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_run_is_repeated_after_its_wait_and_counts() {
    let world = World::new().await;
    world.add(&[job(1)]).await;
    let first = world.take(1).await.remove(0);
    assert!(world.settle(&first, retry()).await);
    assert!(world.take(1).await.is_empty());
    let wait = "jobs.jobs WHERE state = 'delayed' AND last_error = 'no luck' \
        AND run_at - now() BETWEEN interval '25 s' AND interval '30 s'";
    assert_eq!(world.count(wait).await, 1);
    world.promote_all().await;
    let second = world.take(1).await.remove(0);
    assert_eq!((second.id, second.attempt), (first.id, 2));
    assert!(second.fence > first.fence);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_earlier_holder_settles_nothing_whatever_it_says() {
    let world = World::new().await;
    world.add(&[job(1)]).await;
    let stale = world.take(1).await.remove(0);
    assert!(world.settle(&stale, retry()).await);
    world.promote_all().await;
    let holder = world.take(1).await.remove(0);
    for outcome in [
        Outcome::Succeeded(None),
        retry(),
        fail(),
        Outcome::Cancelled,
        Outcome::Released,
    ] {
        assert!(!world.settle(&stale, outcome.clone()).await, "{outcome:?}");
    }
    assert_eq!(world.count("jobs.finished").await, 0);
    assert!(world.settle(&holder, Outcome::Succeeded(None)).await);
    assert!(
        !world.settle(&holder, Outcome::Succeeded(None)).await,
        "once"
    );
    assert_eq!(world.count("jobs.finished").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_kept_with_its_error_and_can_be_retried() {
    let world = World::new().await;
    world.add(&[job(1).unique_key("k")]).await;
    let taken = world.take(1).await.remove(0);
    assert!(world.settle(&taken, fail()).await);
    let mut conn = world.conn().await;
    let all = dead::list(&mut conn, None, 10).await.unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].last_error.as_deref(), Some("it\u{fffd}broke"));
    assert!(
        dead::list(&mut conn, Some(&all[0]), 10)
            .await
            .unwrap()
            .is_empty()
    );

    // Its key is free for another, and then it cannot live again beside it.
    let other = enqueue(&mut conn, &[job(2).unique_key("k")]).await.unwrap();
    assert!(other[0].id().is_some());
    let refused = dead::retry(&mut conn, taken.id).await;
    assert!(matches!(refused, Err(Error::KeyIsTaken(id)) if id == taken.id));
    let other = world.take(1).await;
    world.succeed(&other).await;
    assert!(dead::retry(&mut conn, taken.id).await.unwrap());
    assert!(!dead::retry(&mut conn, taken.id).await.unwrap());
    world.promote_all().await;
    let again = world.take(1).await.remove(0);
    assert_eq!(
        (again.id, again.attempt),
        (taken.id, 1),
        "all its attempts again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_is_handed_back_loses_neither_attempt_nor_turn() {
    let world = World::new().await;
    world.add(&[job(1), job(2)]).await;
    let taken = world.take(1).await.remove(0);
    assert!(world.settle(&taken, Outcome::Released).await);
    let again = world.take(2).await;
    assert_eq!(numbers(&again), [1, 2]);
    assert_eq!(again[0].attempt, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_finished_and_dead_jobs_are_forgotten_by_the_day() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    linkspan_jobs::clean::clean(&mut conn, 7, 30).await.unwrap();
    assert_eq!(
        world
            .count("pg_inherits WHERE inhparent = 'jobs.finished'::regclass")
            .await,
        9,
        "the default, today and seven days"
    );
    world.add(&[job(1), job(2)]).await;
    let taken = world.take(2).await;
    world.succeed(&taken[..1]).await;
    assert_eq!(world.count("ONLY jobs.finished_default").await, 0);
    assert!(world.settle(&taken[1], fail()).await);
    linkspan_jobs::clean::clean(&mut conn, 7, 30).await.unwrap();
    assert_eq!(world.count("jobs.finished").await, 1);
    assert_eq!(world.count("jobs.jobs WHERE state = 'dead'").await, 1);

    // As it would be in months.
    world
        .run("UPDATE jobs.jobs SET died_at = now() - interval '31 days'")
        .await;
    world
        .run(
            "INSERT INTO jobs.finished (id, kind, group_key, outcome, attempt, enqueued_at, \
            finished_at) VALUES (1, 'k', '', 'succeeded', 1, now(), now() - interval '8 days')",
        )
        .await;
    world
        .run(
            "CREATE TABLE jobs.finished_20200101 PARTITION OF jobs.finished \
            FOR VALUES FROM ('2020-01-01 00:00:00+00') TO ('2020-01-02 00:00:00+00')",
        )
        .await;
    linkspan_jobs::clean::clean(&mut conn, 7, 30).await.unwrap();
    assert_eq!(world.count("jobs.finished").await, 1);
    assert_eq!(world.count("jobs.jobs").await, 0);
    assert_eq!(
        world
            .count("pg_class WHERE relname = 'finished_20200101'")
            .await,
        0
    );
}
