//! Jobs that fail.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use linkspan_jobs::{Kind, NewJob};
use linkspan_worker::{Failure, Registry, Retry};
use serde::{Deserialize, Serialize};

use crate::world::{World, doing, job};

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_that_jobs_failure_and_nobody_elses() {
    let world = World::new().await;
    let worker = world.start(doing(|number, _| async move {
        assert!(number != 7, "oh no");
        Ok(())
    }));
    let jobs: Vec<_> = (1..=20).map(|n| job(n).max_attempts(2)).collect();
    world.add(&jobs).await;
    world.until_succeeded(19).await;
    let dead = "jobs.jobs WHERE state = 'dead' AND attempt = 2 AND payload::text = '7' \
        AND last_error LIKE 'it panicked: oh no%'";
    world.until(1, dead).await;
    worker.stop().await;
}

#[derive(Serialize, Deserialize)]
struct Careless;

impl Kind for Careless {
    const NAME: &'static str = "test.careless";
    const RUN_LIMIT: Duration = Duration::from_secs(60);

    fn backoff(_: u16) -> Duration {
        panic!("no wait is long enough")
    }
}

/// What is around the run may panic too: neither its slot nor the job is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_of_a_kinds_back_off_costs_no_slot() {
    let world = World::new().await;
    let registry = Registry::new()
        .with(|Careless, _| async { Err::<(), _>(Failure::new("no luck")) })
        .with(|_: crate::world::Numbered, _| async { Ok::<_, Failure>(()) });
    let mut settings = world.settings();
    settings.slots = 1;
    let worker = world.start_with(registry, settings);
    world.add(&[NewJob::new(&Careless).unwrap()]).await;
    let failed = "jobs.jobs WHERE state = 'delayed' AND attempt = 1 \
        AND last_error = 'it panicked: no wait is long enough'";
    world.until(1, failed).await;
    world.add(&[job(1)]).await;
    world.until_succeeded(1).await;
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_too_long_is_told_and_counts_as_failed() {
    let world = World::new().await;
    let worker = world.start(doing(|_, context| async move {
        context.ending().await;
        Err::<(), _>(Failure::new("it was told to end"))
    }));
    let limit = Duration::from_millis(50);
    world.add(&[job(1).run_limit(limit).max_attempts(1)]).await;
    let dead = "jobs.jobs WHERE state = 'dead' AND last_error LIKE 'it ran longer than%'";
    world.until(1, dead).await;
    worker.stop().await;
}

/// Nobody looks unless told: the one who settles tells the one who makes due jobs
/// ready.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_job_runs_again_after_its_wait_until_its_attempts_are_spent() {
    let world = World::new().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&seen);
    let registry = doing(move |number, context| {
        let is_first = context.attempt == 1;
        note.lock().unwrap().push((number, context.attempt));
        async move {
            match number {
                1 if !is_first => Ok(()),
                2 => Err(Failure::new("always").retry(Retry::After(Duration::from_millis(30)))),
                3 => Err(Failure::new("hopeless").retry(Retry::Never)),
                _ => Err(Failure::new("no luck")),
            }
        }
    });
    let worker = world.start_with(registry, world.deaf());
    world.add(&[job(1), job(2), job(3)]).await;
    world.until_succeeded(1).await;
    world.until(2, "jobs.jobs WHERE state = 'dead'").await;
    let mut seen = seen.lock().unwrap().clone();
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3), (3, 1)]);
    worker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_this_version_cannot_read_is_dead_at_once() {
    let world = World::new().await;
    let id = world.add(&[job(1)]).await[0];
    world
        .run(&format!(
            "UPDATE jobs.jobs SET payload = '{{\"v\":2}}' WHERE id = {id}"
        ))
        .await;
    let worker = world.start(doing(|_, _| async { Ok(()) }));
    let dead = "jobs.jobs WHERE state = 'dead' AND attempt = 1 \
        AND last_error LIKE 'this version cannot read the payload of a test.numbered job%'";
    world.until(1, dead).await;
    worker.stop().await;
}
