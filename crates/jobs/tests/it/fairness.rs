//! Groups take turns.

use crate::world::{World, job, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn a_single_job_is_among_the_next_whatever_another_group_has_waiting() {
    let world = World::new().await;
    let crowd: Vec<_> = (0..20_000).map(|n| job(n).group("crowd")).collect();
    world.add(&crowd).await;
    // Its turns have gone on for a while.
    for _ in 0..5 {
        let taken = world.take(100).await;
        world.succeed(&taken).await;
    }
    world.add(&[job(-1).group("single")]).await;
    let next = numbers(&world.take(3).await);
    assert!(next.contains(&-1), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_long_queues_are_served_in_turn() {
    let world = World::new().await;
    let of = |group: &'static str, sign: i64| {
        (1..=1_000)
            .map(move |n| job(n * sign).group(group))
            .collect::<Vec<_>>()
    };
    world.add(&of("one", 1)).await;
    world.add(&of("two", -1)).await;
    let taken = numbers(&world.take(100).await);
    let first = taken.iter().filter(|n| **n > 0).count();
    assert!((45..=55).contains(&first), "{first} of 100");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_was_served_before_does_not_count_against_it() {
    let world = World::new().await;
    let old: Vec<_> = (0..3_000).map(|n| job(n).group("old")).collect();
    world.add(&old).await;
    loop {
        let taken = world.take(1_000).await;
        if taken.is_empty() {
            break;
        }
        world.succeed(&taken).await;
    }
    let new: Vec<_> = (0..1_000).map(|n| job(n).group("new")).collect();
    world.add(&new).await;
    world.add(&[job(-1).group("old")]).await;
    let next = numbers(&world.take(3).await);
    assert!(next.contains(&-1), "{next:?}");
}
