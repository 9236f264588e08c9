//! A worker stands still for longer than its lease, and goes on.

use linkspan_testkit::workload::Work;
use rustix::process::Signal;

use crate::world::{World, eventually, job};

/// Both believe that they hold the job. What the first one writes when it goes on
/// is refused, by the store and by the table; nothing is done twice.
async fn stopped_at(point: &str, refused: i64) {
    let world = World::new().await;
    world.add(&[job(&Work { takes: 5, fails: 0 })]).await;
    let first = world.start_armed("first", point, "stop").await;
    assert!(eventually(async || !first.is_armed()).await, "{point}");
    let second = world.start("second").await;
    world
        .until(1, "jobs.finished WHERE outcome = 'succeeded'")
        .await;
    let by = format!(
        "jobs.finished WHERE worker = '{}' AND attempt = 2",
        second.id
    );
    assert_eq!(world.count(&by).await, 1, "{point}");
    first.signal(Signal::CONT).unwrap();
    world.until(refused, "test_refused").await;
    // It works on, on what is its own.
    second.stop().await.unwrap();
    world.add(&[job(&Work { takes: 1, fails: 1 })]).await;
    world
        .until(2, "jobs.finished WHERE outcome = 'succeeded'")
        .await;
    let by = format!("jobs.finished WHERE worker = '{}'", first.id);
    assert_eq!(world.count(&by).await, 1, "{point}");
    first.stop().await.unwrap();
    assert_eq!(world.count("test_effects").await, 2, "{point}");
    assert_eq!(world.count("test_refused").await, refused, "{point}");
    world.is_sound().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_the_jobs_effect() {
    stopped_at("job.claimed", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_it_has_said_how_the_job_ended() {
    stopped_at("job.settling", 0).await;
}
