//! Runs that are ended before they have.

use std::sync::Arc;
use std::time::Duration;

use linkspan_jobs::cancel::{Which, cancel};
use linkspan_worker::{Failure, Registry};
use tokio::sync::Notify;

use crate::world::{World, doing, job, soon};

/// Says that it runs, and waits until it is told to end.
fn waiting(begun: &Arc<Notify>, told: &Arc<Notify>) -> Registry {
    let (begun, told) = (Arc::clone(begun), Arc::clone(told));
    doing(move |_, context| {
        let (begun, told) = (Arc::clone(&begun), Arc::clone(&told));
        async move {
            begun.notify_one();
            context.ending().await;
            told.notify_one();
            Err::<(), _>(Failure::new("it was told to end"))
        }
    })
}

/// Its lease would be renewed in twenty minutes only.
#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_reaches_a_running_job() {
    let world = World::new().await;
    let (begun, told) = <(Arc<Notify>, Arc<Notify>)>::default();
    let worker = world.start_with(waiting(&begun, &told), world.deaf());
    let id = world.add(&[job(1)]).await[0];
    soon(begun.notified()).await;
    let cancelled = cancel(&mut *world.conn().await, Which::Id(id)).await;
    assert_eq!(cancelled.unwrap().running, 1);
    soon(told.notified()).await;
    world
        .until(1, "jobs.finished WHERE outcome = 'cancelled'")
        .await;
    assert_eq!(world.count("jobs.jobs").await, 0);
    worker.stop().await;
}

/// The other one never looks unless told.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_hands_its_jobs_to_one_that_starts_them_at_once() {
    let world = World::new().await;
    let (begun, told) = <(Arc<Notify>, Arc<Notify>)>::default();
    let first = world.start_with(waiting(&begun, &told), world.deaf());
    world.add(&[job(1), job(2)]).await;
    soon(begun.notified()).await;
    world.until(2, "jobs.jobs WHERE state = 'running'").await;
    let mut settings = world.deaf();
    settings.listen = Some(world.database.direct_url());
    let second = linkspan_worker::start(
        world.database.database(),
        linkspan_jobs::Waker::new(),
        doing(|_, _| async { Ok(()) }),
        settings,
    );
    world.until(2, "jobs.workers").await;
    first.stop().await;
    world.until_succeeded(2).await;
    assert_eq!(world.count("jobs.finished WHERE attempt = 1").await, 2);
    assert_eq!(world.count("jobs.workers").await, 1);
    second.stop().await;
    assert_eq!(world.count("jobs.workers").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_lets_jobs_end_that_do_so_in_time() {
    let world = World::new().await;
    let begun = Arc::new(Notify::new());
    let go = Arc::new(Notify::new());
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
    let mut settings = world.settings();
    settings.drain = Duration::from_secs(60);
    let worker = world.start_with(registry, settings);
    world.add(&[job(1)]).await;
    soon(begun.notified()).await;
    let stopping = tokio::spawn(worker.stop());
    go.notify_one();
    soon(stopping).await.unwrap();
    assert_eq!(
        world
            .count("jobs.finished WHERE outcome = 'succeeded'")
            .await,
        1
    );
}

/// It stood still for longer than its lease; others have what it runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_taken_is_ended_and_what_it_says_does_not_count() {
    let world = World::new().await;
    let (begun, told) = <(Arc<Notify>, Arc<Notify>)>::default();
    let worker = world.start(waiting(&begun, &told));
    let id = world.add(&[job(1)]).await[0];
    soon(begun.notified()).await;
    let sql = format!(
        "UPDATE jobs.jobs SET fence = nextval('jobs.fences'), worker = gen_random_uuid() \
         WHERE id = {id}"
    );
    world.run(&sql).await;
    soon(told.notified()).await;
    // Nobody has that worker on the list: it runs again, and is told to end again
    // when this one stops.
    soon(begun.notified()).await;
    worker.stop().await;
    let handed_back = "jobs.jobs WHERE state = 'ready' AND attempt = 1";
    assert_eq!(world.count(handed_back).await, 1);
}
