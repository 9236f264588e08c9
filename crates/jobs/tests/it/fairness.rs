//! Groups take turns.

use linkspan_jobs::limits;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_jobs_of_no_group_take_turns_with_other_tenants() {
    let world = World::new().await;
    let crowd: Vec<_> = (0..1_000).map(|n| job(n).tenant("crowd")).collect();
    world.add(&crowd).await;
    world.add(&[job(-1).tenant("single")]).await;
    let next = numbers(&world.take(2).await);
    assert!(next.contains(&-1), "{next:?}");
}

/// As that many enqueuing statements would have left them.
async fn hundred_thousand(world: &World, state: &str) {
    let parked_on = match state {
        "parked" => "'crowd'",
        _ => "NULL",
    };
    let crowd = format!(
        "INSERT INTO jobs.jobs (kind, payload, tenant, group_key, priority, state, parked_on, \
            virtual_time, run_limit_ms, max_attempts) \
         SELECT 'test.numbered', to_json(n), 'crowd', 'crowd', 1, '{state}', {parked_on}, n, \
            60000, 3 FROM generate_series(1, 100000) AS n"
    );
    world.run(&crowd).await;
}

/// In each round there is one place for the crowd, four for others of whom some are
/// new, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_parked_jobs_neither_starve_others_nor_are_starved() {
    let world = World::new().await;
    hundred_thousand(&world, "parked").await;
    // Others have been served for long.
    world
        .run("UPDATE jobs.clocks SET virtual_time = 5000")
        .await;
    let others: Vec<_> = (1..=1_000).map(|n| job(-n).group("others")).collect();
    world.add(&others).await;
    limits::set(&mut *world.conn().await, "crowd", Some(1))
        .await
        .unwrap();
    for round in 1..=60 {
        let group = format!("single {round}");
        world.add(&[job(-10_000 - round).group(group)]).await;
        let taken = world.take(5).await;
        let all = numbers(&taken);
        assert_eq!(all.len(), 5);
        assert!(
            all.contains(&(-10_000 - round)),
            "in round {round}: {all:?}"
        );
        let crowd: Vec<_> = all.iter().filter(|n| **n > 0).collect();
        assert_eq!(crowd, [&round], "in round {round}: {all:?}");
        world.succeed(&taken).await;
    }
}

/// Not yet parked: the claims that put them aside are few, and none of them leaves
/// out the single job.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_jobs_above_a_limit_do_not_stand_before_a_single_one() {
    let world = World::new().await;
    hundred_thousand(&world, "ready").await;
    limits::set(&mut *world.conn().await, "crowd", Some(1))
        .await
        .unwrap();
    let mut held = world.take(5).await;
    assert_eq!(numbers(&held), [1]);
    for round in 1..=20 {
        world.add(&[job(-round).group("single")]).await;
        let taken = world.take(5).await;
        assert_eq!(numbers(&taken), [-round], "in round {round}");
        held.extend(taken);
    }
    assert!(world.count("jobs.jobs WHERE state = 'parked'").await > 10_000);
    world.succeed(&held).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_new_jobs_come_after_those_that_wait_for_a_place() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "g", Some(1))
        .await
        .unwrap();
    let mut order = Vec::new();
    world
        .add(&(1..=5).map(|n| job(n).group("g")).collect::<Vec<_>>())
        .await;
    for new in [6, 7, 8] {
        let taken = world.take(10).await;
        world.add(&[job(new).group("g")]).await;
        assert!(world.take(10).await.is_empty());
        order.extend(numbers(&taken));
        world.succeed(&taken).await;
    }
    loop {
        let taken = world.take(10).await;
        if taken.is_empty() {
            break;
        }
        order.extend(numbers(&taken));
        world.succeed(&taken).await;
    }
    assert_eq!(order, (1..=8).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_back_at_once_takes_turns_like_anybody() {
    let world = World::new().await;
    let set = async |max| {
        limits::set(&mut *world.conn().await, "paused", max)
            .await
            .unwrap()
    };
    set(Some(0)).await;
    world
        .add(
            &(1..=300)
                .map(|n| job(n).group("paused"))
                .collect::<Vec<_>>(),
        )
        .await;
    // Meanwhile others have had as many turns.
    world
        .add(
            &(1..=500)
                .map(|n| job(-n).group("other"))
                .collect::<Vec<_>>(),
        )
        .await;
    let served = world.take(400).await;
    world.succeed(&served).await;
    assert_eq!(set(Some(1_000)).await, 300);
    let next = numbers(&world.take(40).await);
    let back = next.iter().filter(|n| **n > 0).count();
    assert!((18..=22).contains(&back), "{back} of 40: {next:?}");
}

/// While no worker has room, whoever looks for places finds the same one each time.
#[tokio::test(flavor = "multi_thread")]
async fn no_more_come_back_than_there_are_places() {
    let world = World::new().await;
    limits::set(&mut *world.conn().await, "g", Some(2))
        .await
        .unwrap();
    world
        .add(&(1..=9).map(|n| job(n).group("g")).collect::<Vec<_>>())
        .await;
    let taken = world.take(10).await;
    world.succeed(&taken).await;
    for _ in 0..3 {
        limits::unpark(&mut *world.conn().await).await.unwrap();
    }
    let ready = "jobs.jobs WHERE state = 'ready'";
    assert_eq!(world.count(ready).await, 2);
    let taken = world.look(10).await;
    assert_eq!((numbers(&taken.jobs), taken.parked), (vec![3, 4], 0));
}
