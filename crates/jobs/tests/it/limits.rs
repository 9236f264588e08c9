//! Limits of groups and tenants.

use std::time::Duration;

use futures_util::future::join_all;
use linkspan_jobs::claim::{Reach, WINDOW, claim_but};
use linkspan_jobs::{Claimed, Outcome, Settlement, limits, recover, settle_knowing};

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

#[tokio::test(flavor = "multi_thread")]
async fn a_group_that_is_its_own_tenant_counts_once() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "one", Some(2))
        .await
        .unwrap();
    let jobs: Vec<_> = (1..=5).map(|n| job(n).tenant("one").group("one")).collect();
    world.add(&jobs).await;
    let taken = world.take(10).await;
    assert_eq!(numbers(&taken), [1, 2]);
    assert_eq!(world.running("one").await, (2, 2));
    world.succeed(&taken[..1]).await;
    assert_eq!(world.running("one").await, (1, 1));
    assert_eq!(numbers(&world.take(10).await), [3]);
    assert_eq!(world.running("one").await, (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_set_again_knows_what_runs() {
    let world = World::new().await;
    let set = async |max| {
        limits::set(&mut *world.conn().await, "g", max)
            .await
            .unwrap()
    };
    set(Some(2)).await;
    world
        .add(&(1..=9).map(|n| job(n).group("g")).collect::<Vec<_>>())
        .await;
    let mut held = world.take(10).await;
    assert_eq!(held.len(), 2);
    set(None).await;
    held.extend(world.take(3).await);
    set(Some(4)).await;
    assert_eq!(world.running("g").await, (5, 5));
    assert!(world.take(10).await.is_empty(), "five run");
    for left in [4, 3] {
        world.succeed(&[held.remove(0)]).await;
        assert_eq!(world.running("g").await, (left, i64::from(left)));
    }
    assert_eq!(
        world.take(10).await.len(),
        1,
        "of four places three are taken"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_as_large_as_can_be_stops_neither_claims_nor_recovery() {
    let world = World::new().await;
    for key in ["g", "t"] {
        limits::set(&mut *world.conn().await, key, Some(u32::MAX))
            .await
            .unwrap();
    }
    let huge = job(1)
        .group("g")
        .tenant("t")
        .max_attempts(u16::MAX)
        .run_limit(Duration::MAX)
        .start_within(Duration::MAX);
    world.add(&[huge.clone(), huge, job(2)]).await;
    // As after many runs.
    world
        .run("UPDATE jobs.jobs SET attempt = 32765 WHERE max_attempts = 32767")
        .await;
    for attempt in [32_766, 32_767] {
        world.beat(world.worker).await;
        let taken = world.take(10).await;
        let huge: Vec<_> = taken.iter().filter(|job| job.group == "g").collect();
        assert_eq!(huge.len(), 2);
        assert!(huge.iter().all(|job| job.attempt == attempt));
        world
            .run("UPDATE jobs.workers SET expires_at = now() - interval '1 s'")
            .await;
        let lost = recover(&mut *world.conn().await).await.unwrap();
        assert_eq!(lost.len(), taken.len());
        world.promote_all().await;
    }
    let dead = "jobs.jobs WHERE state = 'dead' AND group_key = 'g' AND attempt = 32767";
    assert_eq!(world.count(dead).await, 2);
    assert_eq!(world.running("g").await, (0, 0));
    assert_eq!(world.running("t").await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_knew_of_no_limit_keeps_the_first_that_comes() {
    let world = World::new().await;
    let known = limits::Known::default();
    let take = async |count| {
        let kinds = (&[][..], &known);
        let mut conn = world.conn().await;
        let claim = claim_but(&mut conn, world.worker, count, WINDOW, Reach::All, kinds).await;
        claim.unwrap()
    };
    let succeed = async |jobs: &[Claimed]| {
        let done = |job| Settlement::new(job, Outcome::Succeeded(None));
        let all: Vec<_> = jobs.iter().map(done).collect();
        let mut conn = world.conn().await;
        let settled = settle_knowing(&mut conn, &all, &known).await.unwrap();
        assert_eq!(settled.ids.len(), jobs.len());
        settled.unparked
    };
    let jobs: Vec<_> = (1..=9).map(|n| job(n).group("slow")).collect();
    world.add(&jobs).await;
    let free = take(4).await.jobs;
    assert_eq!(free.len(), 4);
    assert_eq!(succeed(&free[..2]).await, 0);

    limits::set(&mut *world.conn().await, "slow", Some(2))
        .await
        .unwrap();
    // Those that ran before do not count, and give no place when they end.
    let limited = take(9).await;
    assert_eq!((limited.jobs.len(), limited.parked), (2, 3));
    assert_eq!(succeed(&free[2..]).await, 0);
    assert_eq!(world.running("slow").await, (2, 2));
    assert_eq!(succeed(&limited.jobs).await, 2);
    assert_eq!(world.running("slow").await, (0, 0));
    assert_eq!(take(9).await.jobs.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_settles_before_it_has_seen_a_limit_gives_the_place_back() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "slow", Some(1))
        .await
        .unwrap();
    world
        .add(&[job(1).group("slow"), job(2).group("slow")])
        .await;
    let first = world.take(2).await;
    assert_eq!(world.running("slow").await, (1, 1));
    // Another process, which has claimed nothing.
    let done = [Settlement::new(&first[0], Outcome::Succeeded(None))];
    let known = limits::Known::default();
    let settled = settle_knowing(&mut *world.conn().await, &done, &known).await;
    assert_eq!(settled.unwrap().unparked, 1);
    assert_eq!(world.running("slow").await, (0, 0));
    assert_eq!(numbers(&world.take(2).await), [2]);
}
