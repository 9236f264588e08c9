//! Who is told of new jobs, and who looks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use linkspan_db::Listener;
use linkspan_jobs::wake::{CHANNEL, tell};
use linkspan_jobs::{Waker, limits};
use linkspan_worker::Failure;
use tokio::sync::Notify;

use crate::world::{World, doing, job, soon};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_is_told_by_another_process() {
    let world = World::new().await;
    let mut settings = world.deaf();
    settings.listen = Some(world.database.direct_url());
    // Neither its pool nor its waker is that of those who enqueue.
    let worker = linkspan_worker::start(
        world.database.database(),
        Waker::new(),
        doing(|_, _| async { Ok(()) }),
        settings,
    );
    let telling = tokio::spawn(world.waker.clone().tell_others(world.db.clone()));
    for count in 1..=3 {
        world.add(&[job(count)]).await;
        world.until_succeeded(count).await;
    }
    telling.abort();
    worker.stop().await;
}

/// As behind a pooler in transaction mode.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_hears_nothing_looks() {
    let world = World::new().await;
    let worker = linkspan_worker::start(
        world.database.database(),
        Waker::new(),
        doing(|_, _| async { Ok(()) }),
        world.settings(),
    );
    for count in 1..=3 {
        world.add(&[job(count)]).await;
        world.until_succeeded(count).await;
    }
    worker.stop().await;
}

/// Every slot is taken and jobs wait: who makes due jobs ready is told all the
/// same, of a job that is due before he would look.
#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_job_is_made_ready_in_time_while_there_is_no_room() {
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
    let mut settings = world.deaf();
    settings.slots = 1;
    let worker = world.start_with(registry, settings);
    world.add(&[job(1)]).await;
    soon(begun.notified()).await;
    world.add(&[job(2).delay(Duration::from_millis(100))]).await;
    world.until(1, "jobs.jobs WHERE state = 'ready'").await;
    go.notify_one();
    soon(begun.notified()).await;
    go.notify_one();
    world.until_succeeded(2).await;
    worker.stop().await;
}

/// A claim that looks at a thousand hides them from others while it lasts. Who was
/// told meanwhile found nothing, and is told again.
#[tokio::test(flavor = "multi_thread")]
async fn who_found_nothing_beside_a_wide_claim_is_told_again() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "full", Some(0))
        .await
        .unwrap();
    let jobs: Vec<_> = (1..=60)
        .map(|n| job(n).group(if n <= 40 { "full" } else { "free" }))
        .collect();
    // Nobody is told of these.
    linkspan_jobs::enqueue(&mut *world.conn().await, &jobs)
        .await
        .unwrap();
    let heard = Listener::connect(&world.database.direct_url(), CHANNEL)
        .await
        .unwrap();
    let telling = tokio::spawn(world.waker.clone().tell_others(world.db.clone()));
    let mut settings = world.deaf();
    settings.slots = 1;
    let registry = doing(|_, _| std::future::pending::<Result<(), Failure>>());
    let worker = world.start_with(registry, settings);
    world.until(1, "jobs.jobs WHERE state = 'running'").await;
    soon(heard.heard()).await;
    assert!(!heard.is_closed());
    telling.abort();
    worker.stop().await;
}

/// Counts what workers write of themselves.
const BEATS: &str = "CREATE TABLE beats (); \
    CREATE FUNCTION beat() RETURNS trigger LANGUAGE plpgsql AS \
        'BEGIN INSERT INTO beats DEFAULT VALUES; RETURN NULL; END'; \
    CREATE TRIGGER beat AFTER UPDATE ON jobs.workers FOR EACH ROW EXECUTE FUNCTION beat()";

#[tokio::test(flavor = "multi_thread")]
async fn being_told_a_hundred_times_is_not_a_hundred_heartbeats() {
    const TOLD: i64 = 100;
    let world = World::new().await;
    let mut settings = world.deaf();
    settings.listen = Some(world.database.direct_url());
    let worker = linkspan_worker::start(
        world.database.database(),
        Waker::new(),
        doing(|_, _| async { Ok(()) }),
        settings,
    );
    world.until(1, "jobs.workers").await;
    let conn = world.conn().await;
    conn.client().batch_execute(BEATS).await.unwrap();
    let begun = Instant::now();
    for count in 1..=TOLD {
        let mut conn = world.conn().await;
        linkspan_jobs::enqueue(&mut conn, &[job(count)])
            .await
            .unwrap();
        tell(&mut conn).await.unwrap();
        // It hears only so.
        world.until_succeeded(count).await;
    }
    let beats = world.count("beats").await;
    // Five in a second at most, however slow this machine is.
    let most = i64::try_from(begun.elapsed().as_millis() / 200).unwrap() + 2;
    assert!(beats <= most, "{beats} heartbeats, {most} at most");
    worker.stop().await;
}
