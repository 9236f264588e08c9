//! Whether a worker says that it holds its lease.

use linkspan_worker::NotHeld;

use crate::world::{World, doing, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_knows_when_it_cannot_renew_its_lease_and_when_it_has_lost_it() {
    let world = World::new().await;
    let worker = world.start(doing(|_, _| async { Ok(()) }));
    let lease = worker.lease();
    eventually(|| lease.is_held() == Ok(())).await;

    // The server refuses each heartbeat, and answers otherwise.
    world
        .run("ALTER TABLE jobs.workers ADD CONSTRAINT none CHECK (expires_at IS NULL) NOT VALID")
        .await;
    eventually(|| lease.is_held() == Err(NotHeld::Missing)).await;
    eventually(|| matches!(lease.is_held(), Err(NotHeld::Lost(_)))).await;
    world
        .until(0, "jobs.workers WHERE expires_at > now()")
        .await;
    world
        .run("ALTER TABLE jobs.workers DROP CONSTRAINT none")
        .await;
    eventually(|| lease.is_held() == Ok(())).await;
    worker.stop().await;
}

/// The check comes before the first heartbeat.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_without_its_table_has_no_lease() {
    let world = World::new().await;
    world.run("ALTER TABLE jobs.workers RENAME TO away").await;
    let worker = world.start(doing(|_, _| async { Ok(()) }));
    assert_eq!(worker.lease().is_held(), Err(NotHeld::Never));
    world.run("ALTER TABLE jobs.away RENAME TO workers").await;
    eventually(|| worker.lease().is_held() == Ok(())).await;
    worker.stop().await;
}
