//! Schedules.

use linkspan_jobs::schedules::{self, tick};

use crate::world::{World, job, numbers};

async fn make_due(world: &World) {
    world
        .run("UPDATE jobs.schedules SET next_at = now() - interval '1 s' WHERE next_at > now()")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_due_schedule_makes_one_job_and_no_second_while_it_lives() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let made = schedules::create(&mut conn, "s", "every 5 minutes", &job(7))
        .await
        .unwrap();
    assert!(!made.is_paused && made.last_job.is_none());
    let first = tick(&mut conn).await.unwrap();
    assert_eq!((first.made, first.skipped), (0, 0));
    assert!(first.next.unwrap().as_secs() <= 300);

    make_due(&world).await;
    let second = tick(&mut conn).await.unwrap();
    assert_eq!((second.made, second.lateness.len()), (1, 1));
    make_due(&world).await;
    let third = tick(&mut conn).await.unwrap();
    assert_eq!((third.made, third.skipped), (0, 1), "the first still waits");
    let taken = world.take(10).await;
    assert_eq!(numbers(&taken), [7]);
    assert_eq!(taken[0].schedule, Some(made.id));
    make_due(&world).await;
    assert_eq!(tick(&mut conn).await.unwrap().made, 0, "it still runs");
    world.succeed(&taken).await;
    make_due(&world).await;
    assert_eq!(tick(&mut conn).await.unwrap().made, 1);
    let known = schedules::find(&mut conn, "s").await.unwrap().unwrap();
    assert!(known.last_job.unwrap() > taken[0].id && known.last_at.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_without_workers_is_made_up_for_once() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    schedules::create(&mut conn, "s", "every 30s", &job(1))
        .await
        .unwrap();
    world
        .run("UPDATE jobs.schedules SET next_at = now() - interval '1 day'")
        .await;
    let caught_up = tick(&mut conn).await.unwrap();
    assert_eq!(caught_up.made, 1);
    assert!(caught_up.lateness[0].as_secs() >= 86_400);
    let taken = world.take(10).await;
    world.succeed(&taken).await;
    assert_eq!(tick(&mut conn).await.unwrap().made, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_tick_at_once_make_one_job_for_each_schedule() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    for n in 0..50 {
        schedules::create(&mut conn, &n.to_string(), "0 * * * *", &job(n))
            .await
            .unwrap();
    }
    make_due(&world).await;
    let ticks = futures_util::future::join_all(
        (0..4).map(|_| async { tick(&mut *world.conn().await).await.unwrap().made }),
    )
    .await;
    assert_eq!(ticks.iter().sum::<usize>(), 50, "{ticks:?}");
    assert_eq!(world.take(100).await.len(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_paused_resumed_changed_and_deleted() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    schedules::create(&mut conn, "s", "every hour", &job(1))
        .await
        .unwrap();
    assert!(schedules::pause(&mut conn, "s").await.unwrap());
    make_due(&world).await;
    assert_eq!(tick(&mut conn).await.unwrap().made, 0);
    let resumed = schedules::resume(&mut conn, "s").await.unwrap().unwrap();
    assert!(!resumed.is_paused && resumed.next_at > chrono::Utc::now());
    let changed = schedules::update(&mut conn, "s", "every 30s")
        .await
        .unwrap()
        .unwrap();
    assert!(changed.next_at <= chrono::Utc::now() + chrono::TimeDelta::seconds(30));
    let again = schedules::create(&mut conn, "s", "every 30s", &job(2))
        .await
        .unwrap();
    assert_eq!(
        (again.id, again.next_at),
        (changed.id, changed.next_at),
        "the same times stay"
    );
    make_due(&world).await;
    tick(&mut conn).await.unwrap();
    assert_eq!(numbers(&world.take(10).await), [2]);
    assert_eq!(
        schedules::delete(&mut conn, "s").await.unwrap(),
        Some(again.id)
    );
    assert_eq!(schedules::delete(&mut conn, "s").await.unwrap(), None);
    for gone in [
        schedules::resume(&mut conn, "s").await,
        schedules::update(&mut conn, "s", "every day").await,
    ] {
        assert!(gone.unwrap().is_none());
    }
    let wrong = schedules::create(&mut conn, "s", "sometimes", &job(1))
        .await
        .unwrap_err();
    assert!(wrong.to_string().contains("every 30s"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_schedules_are_paused_and_resumed_at_once() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    let mut ids = Vec::new();
    for (n, spec) in (0..).zip(["every 30s", "every hour", "every day", "every 5m"]) {
        let made = schedules::create(&mut conn, &format!("s{n}"), spec, &job(n)).await;
        ids.push(made.unwrap().id);
    }
    // One that is not there is no obstacle.
    let some = [ids[2], -1, ids[0], ids[1]];
    schedules::pause_all(&mut conn, &some).await.unwrap();
    make_due(&world).await;
    assert_eq!(tick(&mut conn).await.unwrap().made, 1);
    let before = chrono::Utc::now();
    schedules::resume_all(&mut conn, &[ids[0], ids[1], ids[3]])
        .await
        .unwrap();
    let all = schedules::lock(&mut conn, &ids).await.unwrap();
    let paused: Vec<bool> = all.iter().map(|one| one.is_paused).collect();
    assert_eq!(paused, [false, false, true, false]);
    for (one, seconds) in all.iter().zip([30, 3_600]) {
        let wait = one.next_at - before;
        assert!(
            wait > chrono::TimeDelta::seconds(-1)
                && wait <= chrono::TimeDelta::seconds(seconds + 1),
            "{one:?}"
        );
    }
    assert_eq!(tick(&mut conn).await.unwrap().made, 0);
}
