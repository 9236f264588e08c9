//! Workers of two versions at one table.

use std::sync::Arc;
use std::time::Duration;

use linkspan_jobs::{Kind, NewJob};
use linkspan_worker::{Failure, Registry};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::world::{World, doing, job, soon};

/// What the old version knows, and the new one does not any more.
#[derive(Serialize, Deserialize)]
struct Old;

impl Kind for Old {
    const NAME: &'static str = "test.old";
    const RUN_LIMIT: Duration = Duration::from_secs(60);
}

fn old() -> Registry {
    Registry::new().with(|Old, _| async { Ok::<_, Failure>(()) })
}

/// The new one looks only when told, and nobody tells it: it starts with what waits
/// for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_nobody_knows_waits_for_a_worker_that_does_with_all_its_attempts() {
    let world = World::new().await;
    world.add(&[job(1).max_attempts(1)]).await;
    let first = world.start(old());
    let waits = "jobs.jobs WHERE state = 'delayed' AND attempt = 0 \
        AND last_error LIKE '%does not know the kind test.numbered'";
    world.until(1, waits).await;
    // It is claimed again and again.
    world
        .run("UPDATE jobs.jobs SET unknown_since = now() - interval '23 hours', run_at = now()")
        .await;
    let far = format!("{waits} AND run_at > now() + interval '4 minutes'");
    world.until(1, &far).await;
    first.stop().await;
    let second = world.start_with(doing(|_, _| async { Ok(()) }), world.deaf());
    world.until_succeeded(1).await;
    assert_eq!(world.count("jobs.finished WHERE attempt = 1").await, 1);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_worker_does_not_claim_what_only_a_new_one_knows() {
    let world = World::new().await;
    let first = world.start(old());
    world.add(&[job(1)]).await;
    let put_off = "jobs.jobs WHERE unknown_since IS NOT NULL";
    world.until(1, put_off).await;
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
    let mut settings = world.settings();
    settings.slots = 1;
    let second = world.start_with(registry, settings);
    soon(begun.notified()).await;
    // The old one hears of the new one with a beat of its own.
    let beats = format!(
        "CREATE TABLE beats (); CREATE FUNCTION beat() RETURNS trigger LANGUAGE plpgsql AS \
            'BEGIN INSERT INTO beats DEFAULT VALUES; RETURN NULL; END'; \
         CREATE TRIGGER beat AFTER UPDATE ON jobs.workers FOR EACH ROW \
            WHEN (NEW.id = '{}') EXECUTE FUNCTION beat()",
        first.id()
    );
    world
        .conn()
        .await
        .client()
        .batch_execute(&beats)
        .await
        .unwrap();
    world
        .until(
            1,
            "(SELECT count(*) >= 2 AS enough FROM beats) AS b WHERE enough",
        )
        .await;

    world.add(&[job(2)]).await;
    world.add(&[NewJob::new(&Old).unwrap()]).await;
    world
        .until(1, "jobs.finished WHERE kind = 'test.old'")
        .await;
    let untouched = "jobs.jobs WHERE state = 'ready' AND payload::text = '2' \
        AND unknown_since IS NULL AND fence = 0";
    assert_eq!(world.count(untouched).await, 1);
    go.notify_one();
    soon(begun.notified()).await;
    go.notify_one();
    world.until_succeeded(3).await;
    for worker in [first, second] {
        worker.stop().await;
    }
}
