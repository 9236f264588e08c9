//! A payload of another version.

use linkspan_testkit::workload::Work;

use crate::world::{World, job};

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_cannot_be_read_is_dead_at_once_and_not_tried_again() {
    let world = World::new().await;
    let work = Work { takes: 1, fails: 0 };
    let ids = world.add(&[job(&work), job(&work)]).await;
    let another = format!(
        "UPDATE jobs.jobs SET payload = '{{\"takes\":\"a while\"}}' WHERE id = {}",
        ids[0]
    );
    world.run(&another).await;
    let worker = world.start("a").await;
    let dead = "jobs.jobs WHERE state = 'dead' AND attempt = 1 \
        AND last_error LIKE 'this version cannot read the payload of a test.work job%'";
    world.until(1, dead).await;
    world
        .until(1, "jobs.finished WHERE outcome = 'succeeded'")
        .await;
    assert_eq!(world.count("test_runs").await, 1, "it did not begin");
    worker.stop().await.unwrap();
    world.is_sound().await;
}
