//! Who is told of new jobs, and who looks.

use std::sync::Arc;
use std::time::Duration;

use linkspan_jobs::Waker;
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
