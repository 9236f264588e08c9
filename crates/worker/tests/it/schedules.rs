//! Schedules, from the clock to the job.

use std::sync::{Arc, Mutex};

use linkspan_jobs::schedules;
use tokio::sync::Notify;

use crate::world::{World, doing, job, soon};

/// As it will be in a while.
async fn make_due(world: &World, key: &str) {
    let sql =
        format!("UPDATE jobs.schedules SET next_at = now() - interval '1 ms' WHERE key = '{key}'");
    world.run(&sql).await;
}

/// Somebody has looked at it since it was made due.
async fn is_looked_at(world: &World, key: &str) {
    let next = format!("jobs.schedules WHERE key = '{key}' AND next_at > now()");
    world.until(1, &next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_runs_is_paused_resumed_and_changed_and_one_run_lives_at_most() {
    let world = World::new().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (begun, go) = <(Arc<Notify>, Arc<Notify>)>::default();
    let registry = {
        let (seen, begun, go) = (Arc::clone(&seen), Arc::clone(&begun), Arc::clone(&go));
        doing(move |number, context| {
            seen.lock().unwrap().push(number);
            let (begun, go) = (Arc::clone(&begun), Arc::clone(&go));
            async move {
                assert!(context.schedule.is_some());
                if number < 10 {
                    begun.notify_one();
                    go.notified().await;
                }
                Ok(())
            }
        })
    };
    let worker = world.start(registry);
    let mut conn = world.conn().await;
    let all = "jobs.jobs WHERE schedule_id IS NOT NULL";
    schedules::create(&mut conn, "s", "every hour", &job(1))
        .await
        .unwrap();
    schedules::create(&mut conn, "other", "0 0 * * *", &job(10))
        .await
        .unwrap();

    // Due again and again while it runs.
    make_due(&world, "s").await;
    soon(begun.notified()).await;
    for _ in 0..3 {
        make_due(&world, "s").await;
        is_looked_at(&world, "s").await;
        assert_eq!(world.count(all).await, 1);
    }
    // Changed while it runs: the next one is the new one.
    schedules::create(&mut conn, "s", "every 30 minutes", &job(2))
        .await
        .unwrap();
    go.notify_one();
    world.until_succeeded(1).await;
    make_due(&world, "s").await;
    soon(begun.notified()).await;
    go.notify_one();
    world.until_succeeded(2).await;

    // Paused, it makes nothing while others do.
    assert!(schedules::pause(&mut conn, "s").await.unwrap());
    make_due(&world, "s").await;
    make_due(&world, "other").await;
    world.until_succeeded(3).await;
    assert_eq!(world.count(all).await, 0);

    // Resumed, it does not make up for what it missed.
    schedules::resume(&mut conn, "s").await.unwrap().unwrap();
    make_due(&world, "other").await;
    world.until_succeeded(4).await;
    assert_eq!(world.count(all).await, 0);
    make_due(&world, "s").await;
    soon(begun.notified()).await;
    go.notify_one();
    world.until_succeeded(5).await;
    assert_eq!(*seen.lock().unwrap(), [1, 2, 10, 10, 2]);
    worker.stop().await;
}
