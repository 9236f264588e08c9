//! Writing down what became of runs, when that is not easy.

use std::sync::Arc;

use diesel_async::AsyncConnection as _;
use linkspan_jobs::claim::Reach;
use linkspan_jobs::limits;
use linkspan_shared::db::Connection;
use linkspan_worker::{Failure, Retry};
use serde_json::value::RawValue;
use tokio::sync::{Barrier, Notify};

use crate::world::{World, doing, job, soon};

/// Deeper than Postgres reads JSON.
fn too_deep() -> Box<RawValue> {
    let depth = 100_000;
    RawValue::from_string("[".repeat(depth) + &"]".repeat(depth)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_cannot_be_stored_holds_up_no_other() {
    let world = World::new().await;
    let all = Arc::new(Barrier::new(10));
    let registry = doing(move |number, _| {
        let all = Arc::clone(&all);
        async move {
            all.wait().await;
            match number {
                1 => Ok(Some(too_deep())),
                2 => {
                    let ages = std::time::Duration::from_millis(u64::MAX);
                    Err(Failure::new("no luck").retry(Retry::After(ages)))
                }
                _ => Ok(None),
            }
        }
    });
    let worker = world.start(registry);
    let jobs: Vec<_> = (1..=10).map(job).collect();
    world.add(&jobs).await;
    world.until_succeeded(8).await;
    let dead = "jobs.jobs WHERE state = 'dead' AND payload::text = '1' \
        AND last_error LIKE 'what became of it cannot be stored%'";
    world.until(1, dead).await;
    // No time is so far away that it stops the statements that meet it.
    let waits = "jobs.jobs WHERE state = 'delayed' AND payload::text = '2' \
        AND run_at > now() + interval '9 years'";
    world.until(1, waits).await;
    worker.stop().await;
}

/// The server ends the connection that is settling, as it does when it stops: that
/// says nothing about the job.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_ended_while_settling_costs_nothing() {
    let world = World::new().await;
    let (begun, go) = <(Arc<Notify>, Arc<Notify>)>::default();
    let registry = {
        let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
        doing(move |_, _| {
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            async move {
                begun.notify_one();
                go.notified().await;
                Ok(())
            }
        })
    };
    let worker = world.start(registry);
    world.add(&[job(1)]).await;
    soon(begun.notified()).await;
    let mut lent = world.conn().await;
    let held: &mut Connection = &mut lent;
    let waits = "pg_stat_activity WHERE datname = current_database() \
        AND wait_event_type = 'Lock' AND query LIKE 'WITH said AS%'";
    let held = held.transaction(async |conn: &mut Connection| {
        conn.client()
            .batch_execute("SELECT 1 FROM jobs.jobs FOR UPDATE")
            .await
            .unwrap();
        go.notify_one();
        world.until(1, waits).await;
        let end = format!("SELECT pg_terminate_backend(pid) FROM {waits}");
        world.run(&end).await;
        world.until(0, waits).await;
        // It tries again.
        world.until(1, waits).await;
        Ok::<_, diesel::result::Error>(())
    });
    held.await.unwrap();
    world.until_succeeded(1).await;
    assert_eq!(world.count("jobs.finished WHERE attempt = 1").await, 1);
    assert_eq!(world.count("jobs.jobs").await, 0);
    worker.stop().await;
}

/// The statement that claimed was executed, and its answer never came.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_a_claim_whose_answer_was_lost_are_handed_back() {
    let world = World::new().await;
    let worker = world.start(doing(|_, _| async { Ok(()) }));
    world.until(1, "jobs.workers").await;
    let id = worker.id();
    let mut lent = world.conn().await;
    let conn: &mut Connection = &mut lent;
    let claimed = conn.transaction(async |conn: &mut Connection| {
        linkspan_jobs::enqueue(conn, &[job(1)]).await?;
        linkspan_jobs::claim(conn, id, 1, 1, Reach::All).await
    });
    assert_eq!(claimed.await.unwrap().jobs.len(), 1);
    drop(lent);
    world.until_succeeded(1).await;
    assert_eq!(world.count("jobs.finished WHERE attempt = 1").await, 1);
    worker.stop().await;
}

/// Nobody looks unless told: whoever frees a place tells that it is free.
#[tokio::test(flavor = "multi_thread")]
async fn what_waits_for_a_place_begins_when_there_is_one() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "g", Some(1))
        .await
        .unwrap();
    let worker = world.start_with(doing(|_, _| async { Ok(()) }), world.deaf());
    let jobs: Vec<_> = (0..20).map(|n| job(n).group("g")).collect();
    world.add(&jobs).await;
    world.until_succeeded(20).await;
    assert_eq!(world.count("jobs.limits WHERE running = 0").await, 1);
    worker.stop().await;
}

/// As JSON it has two bytes more.
#[tokio::test(flavor = "multi_thread")]
async fn a_result_of_a_mebibyte_is_kept_and_a_byte_more_is_refused() {
    const MOST: usize = 1024 * 1024;
    let world = World::new().await;
    let registry = doing(|number, _| async move {
        let length = MOST - 2 + usize::try_from(number)?;
        Ok("x".repeat(length))
    });
    let worker = world.start(registry);
    world.add(&[job(0), job(1)]).await;
    world
        .until(
            1,
            "jobs.finished WHERE octet_length(output::text) = 1048576",
        )
        .await;
    let refused = "jobs.jobs WHERE state = 'dead' AND attempt = 1 AND payload::text = '1' \
        AND last_error = 'its result has 1048577 bytes; 1048576 are the most'";
    world.until(1, refused).await;
    worker.stop().await;
}
