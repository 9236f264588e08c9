//! Limits of groups and tenants.

use futures_util::future::join_all;
use linkspan_jobs::limits;

use crate::world::{World, job, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_group_lets_others_by_and_goes_on_in_order() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "slow", Some(2))
        .await
        .unwrap();
    let slow: Vec<_> = (1..=5).map(|n| job(n).group("slow")).collect();
    world.add(&slow).await;
    world.add(&[job(100).group("other")]).await;
    let first = world.look(10).await;
    assert_eq!(first.parked, 3);
    let mut taken = numbers(&first.jobs);
    taken.sort_unstable();
    assert_eq!(taken, [1, 2, 100]);
    assert_eq!(world.running("slow").await, (2, 2));
    assert!(world.take(10).await.is_empty());

    let one = first
        .jobs
        .iter()
        .position(|job| job.payload == "1")
        .unwrap();
    world.succeed(&first.jobs[one..=one]).await;
    assert_eq!(numbers(&world.take(10).await), [3]);
    assert_eq!(world.running("slow").await, (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_limit_holds_over_its_groups() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "tenant", Some(3))
        .await
        .unwrap();
    limits::set(&mut *world.conn().await, "a", Some(1))
        .await
        .unwrap();
    let jobs = ["a", "a", "b", "b", "c", "c"].map(|group| job(0).tenant("tenant").group(group));
    world.add(&jobs).await;
    let mut held = world.take(10).await;
    assert_eq!(held.len(), 3);
    assert!(held.iter().filter(|job| job.group == "a").count() <= 1);
    let mut done = 0;
    while let Some(job) = held.pop() {
        world.succeed(&[job]).await;
        done += 1;
        held.extend(world.take(10).await);
        let (counted, running) = world.running("tenant").await;
        assert_eq!(i64::from(counted), running);
        assert!(running <= 3);
    }
    assert_eq!(done, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raised_or_removed_limit_brings_back_what_was_put_aside() {
    let world = World::new().await;
    let set = async |max| {
        limits::set(&mut *world.conn().await, "g", max)
            .await
            .unwrap()
    };
    set(Some(0)).await;
    let jobs: Vec<_> = (1..=4).map(|n| job(n).group("g")).collect();
    world.add(&jobs).await;
    assert!(world.take(10).await.is_empty());
    set(Some(1)).await;
    let one = world.take(10).await;
    assert_eq!(numbers(&one), [1]);
    set(None).await;
    assert_eq!(numbers(&world.take(10).await), [2, 3, 4]);
    // Counted in a limit that is gone.
    world.succeed(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_workers_never_run_more_than_the_limit_and_finish_everything() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "g", Some(5))
        .await
        .unwrap();
    let jobs: Vec<_> = (0..600).map(|n| job(n).group("g")).collect();
    world.add(&jobs).await;
    join_all((0..8).map(|_| async {
        while world.count("jobs.jobs").await > 0 {
            let taken = world.take(3).await;
            let (counted, _) = world.running("g").await;
            assert!((0..=5).contains(&counted), "{counted}");
            world.succeed(&taken).await;
        }
    }))
    .await;
    assert_eq!(world.running("g").await, (0, 0));
    assert_eq!(world.count("jobs.finished").await, 600);
}
