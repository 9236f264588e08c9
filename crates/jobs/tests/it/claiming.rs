//! Enqueuing and claiming.

use std::collections::HashSet;
use std::time::Duration;

use diesel_async::AsyncConnection as _;
use futures_util::future::join_all;
use linkspan_jobs::claim::Reach;
use linkspan_jobs::{Enqueued, Error, Outcome, Priority, enqueue, limits};
use linkspan_shared::db::Connection;

use crate::world::{World, job, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn jobs_of_one_group_come_in_their_order_with_what_they_were_given() {
    let world = World::new().await;
    let ids = world
        .add(&[
            job(1).tenant("one").group("g"),
            job(2).group("g"),
            job(3).group("g"),
        ])
        .await;
    let first = world.take(2).await;
    assert_eq!(numbers(&first), [1, 2]);
    assert_eq!(first[0].id, ids[0]);
    assert_eq!(first[0].tenant.as_deref(), Some("one"));
    assert_eq!((first[0].attempt, first[0].max_attempts), (1, 3));
    assert!(first[1].fence > first[0].fence || first[0].fence > first[1].fence);
    assert_eq!(numbers(&world.take(10).await), [3]);
    assert!(world.take(10).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolled_back_transaction_leaves_no_job() {
    let world = World::new().await;
    let mut lent = world.conn().await;
    let conn: &mut Connection = &mut lent;
    let rolled_back: Result<(), Error> = conn
        .transaction(async |conn: &mut Connection| {
            enqueue(conn, &[job(1)]).await?;
            Err(diesel::result::Error::RollbackTransaction.into())
        })
        .await;
    assert!(rolled_back.is_err());
    assert!(world.take(10).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_key_lets_one_live_and_the_next_in_when_it_is_done() {
    let world = World::new().await;
    let one = || job(1).unique_key("sync:1");
    let added = enqueue(&mut *world.conn().await, &[one(), one(), job(2)]).await;
    let added = added.unwrap();
    assert!(matches!(
        added[..],
        [
            Enqueued::Added(_),
            Enqueued::AlreadyLive,
            Enqueued::Added(_)
        ]
    ));
    let taken = world.take(10).await;
    assert_eq!(taken.len(), 2);
    let again = enqueue(&mut *world.conn().await, &[one()]).await.unwrap();
    assert_eq!(again, [Enqueued::AlreadyLive], "it is running");
    world.succeed(&taken).await;
    let again = enqueue(&mut *world.conn().await, &[one()]).await.unwrap();
    assert!(again[0].id().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_claim_at_once_get_each_job_once() {
    let world = World::new().await;
    let jobs: Vec<_> = (0..2_000)
        .map(|n| job(n).group((n % 7).to_string()))
        .collect();
    world.add(&jobs).await;
    let claims = join_all((0..8).map(|_| async {
        let mut mine = Vec::new();
        loop {
            let taken = world.take(40).await;
            if taken.is_empty() {
                return mine;
            }
            mine.extend(taken);
        }
    }))
    .await;
    let all: Vec<_> = claims.concat();
    let once: HashSet<i64> = numbers(&all).into_iter().collect();
    assert_eq!((all.len(), once.len()), (2_000, 2_000));
    let fences: HashSet<i64> = all.iter().map(|job| job.fence).collect();
    assert_eq!(fences.len(), 2_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_higher_priority_goes_first_whenever_it_came() {
    let world = World::new().await;
    world.add(&[job(1).priority(Priority::Low), job(2)]).await;
    world.add(&[job(3).priority(Priority::High)]).await;
    assert_eq!(numbers(&world.take(10).await), [3, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delayed_job_is_ready_when_the_database_says_so() {
    let world = World::new().await;
    world.add(&[job(1).delay(Duration::from_secs(3600))]).await;
    assert!(world.take(10).await.is_empty());
    let promoted = linkspan_jobs::promote::promote(&mut *world.conn().await)
        .await
        .unwrap();
    assert_eq!(promoted.count, 0);
    let next = promoted.next.unwrap().as_secs();
    assert!((3590..=3600).contains(&next), "{next}");
    assert_eq!(world.promote_all().await, 1);
    assert_eq!(numbers(&world.take(10).await), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_too_long_is_given_up_and_says_so() {
    let world = World::new().await;
    let limit = Duration::from_secs(1);
    world
        .add(&[job(1).start_within(limit), job(2).start_within(limit)])
        .await;
    world
        .run("UPDATE jobs.jobs SET start_by = now() - interval '1 s'")
        .await;
    let late = world.take(1).await;
    assert!(late[0].is_late, "whoever claims it is told");
    let mut conn = world.conn().await;
    assert_eq!(linkspan_jobs::promote::expire(&mut conn).await.unwrap(), 1);
    assert_eq!(
        world.count("jobs.finished WHERE outcome = 'expired'").await,
        1
    );
    assert_eq!(world.count("jobs.jobs WHERE state = 'ready'").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_ahead_finds_what_is_enqueued_and_not_what_was_handed_back() {
    let world = World::new().await;
    world
        .add(&[job(1).group("a"), job(2).group("b"), job(3).group("a")])
        .await;
    let first = world.look_at(2, Reach::Ahead).await.jobs;
    assert_eq!(numbers(&first), [1, 2]);
    assert!(world.settle(&first[0], Outcome::Released).await);
    world
        .add(&[
            job(4).group("c"),
            job(5).group("a"),
            job(6).priority(Priority::High),
        ])
        .await;
    let ahead = world.look_at(10, Reach::Ahead).await.jobs;
    assert_eq!(numbers(&ahead), [6, 3, 4, 5]);
    assert_eq!(numbers(&world.look_at(10, Reach::All).await.jobs), [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_ahead_finds_a_job_for_which_there_is_a_place_again() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "one", Some(1))
        .await
        .unwrap();
    world.add(&[job(1).group("one"), job(2).group("one")]).await;
    let first = world.look_at(10, Reach::Ahead).await;
    assert_eq!((numbers(&first.jobs), first.parked), (vec![1], 1));
    world
        .add(&(3..50).map(|n| job(n).group("two")).collect::<Vec<_>>())
        .await;
    assert_eq!(world.look_at(40, Reach::Ahead).await.jobs.len(), 40);
    world.succeed(&first.jobs).await;
    let next = world.look_at(1, Reach::Ahead).await;
    assert_eq!(numbers(&next.jobs), [2]);
}
