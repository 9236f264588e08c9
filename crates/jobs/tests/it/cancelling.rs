//! Cancelling.

use linkspan_jobs::Outcome;
use linkspan_jobs::cancel::{Cancelled, Which, cancel};

use crate::world::{World, job};

#[tokio::test(flavor = "multi_thread")]
async fn waiting_jobs_are_gone_and_running_ones_are_told() {
    let world = World::new().await;
    world
        .add(&[job(1).tenant("t"), job(2).tenant("t"), job(3)])
        .await;
    let taken = world.take(1).await.remove(0);
    let done = cancel(&mut *world.conn().await, Which::Tenant("t"))
        .await
        .unwrap();
    assert_eq!(
        done,
        Cancelled {
            waiting: 1,
            running: 1
        }
    );
    assert_eq!(
        world
            .count("jobs.finished WHERE outcome = 'cancelled'")
            .await,
        1
    );
    assert!(world.settle(&taken, Outcome::Cancelled).await);
    assert_eq!(
        world
            .count("jobs.finished WHERE outcome = 'cancelled'")
            .await,
        2
    );
    assert_eq!(world.take(10).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_does_not_run_again_however_its_run_ends() {
    let world = World::new().await;
    let failed = || "no luck".to_owned();
    let ends = [
        Outcome::Retry {
            error: failed(),
            after: std::time::Duration::ZERO,
        },
        Outcome::Dead { error: failed() },
        Outcome::Released,
    ];
    for outcome in ends {
        world.add(&[job(1).unique_key("k")]).await;
        let taken = world.take(1).await.remove(0);
        let which = Which::Id(taken.id);
        let told = cancel(&mut *world.conn().await, which).await.unwrap();
        assert_eq!(told.running, 1);
        assert!(world.settle(&taken, outcome.clone()).await);
        assert_eq!(world.count("jobs.jobs").await, 0, "{outcome:?}");
    }
    let kept = "jobs.finished WHERE outcome = 'cancelled' AND output IS NULL";
    assert_eq!(world.count(kept).await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_that_meets_a_claim_reaches_the_job_in_either_order() {
    let world = World::new().await;
    for round in 0..40 {
        let id = world.add(&[job(round)]).await[0];
        let mut conn = world.conn().await;
        let (cancelled, taken) = tokio::join!(cancel(&mut conn, Which::Id(id)), world.take(1));
        let cancelled = cancelled.unwrap();
        match taken.first() {
            Some(taken) => {
                assert_eq!((cancelled.waiting, cancelled.running), (0, 1));
                assert!(world.settle(taken, Outcome::Cancelled).await);
            }
            None => assert_eq!((cancelled.waiting, cancelled.running), (1, 0)),
        }
    }
    assert_eq!(world.count("jobs.jobs").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_of_naming_jobs_finds_them() {
    let world = World::new().await;
    for which in [Which::UniqueKey("k"), Which::Group("g"), Which::Tenant("t")] {
        world
            .add(&[job(1).unique_key("k").group("g").tenant("t"), job(2)])
            .await;
        let done = cancel(&mut *world.conn().await, which).await.unwrap();
        assert_eq!(done.waiting, 1, "{which:?}");
    }
    let none = cancel(&mut *world.conn().await, Which::Id(-1))
        .await
        .unwrap();
    assert_eq!(
        none,
        Cancelled {
            waiting: 0,
            running: 0
        }
    );
}
