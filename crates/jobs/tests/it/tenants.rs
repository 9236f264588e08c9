//! The end of a tenant.

use linkspan_jobs::tenant::{self, Ended};
use linkspan_jobs::{Outcome, limits, schedules};

use crate::world::{World, job, numbers};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_it_is_left_and_nothing_of_others_is_touched() {
    let world = World::new().await;
    let mut conn = world.conn().await;
    for (name, whose) in [("a", "gone"), ("b", "gone"), ("c", "stays")] {
        schedules::create(&mut conn, name, "every minute", &job(0).tenant(whose))
            .await
            .unwrap();
    }
    limits::set(&mut conn, "gone", Some(1)).await.unwrap();
    limits::set(&mut conn, "stays", Some(1)).await.unwrap();
    // More than a page, in every state.
    let crowd: Vec<_> = (1..=2_500).map(|n| job(n).tenant("gone")).collect();
    world.add(&crowd).await;
    let later = std::time::Duration::from_secs(3_600);
    world
        .add(&[
            job(-1).tenant("gone").delay(later),
            job(-2).tenant("stays"),
            job(-3),
        ])
        .await;
    let taken = world.take(10).await;
    let mut all = numbers(&taken);
    all.sort_unstable();
    assert_eq!(all, [-3, -2, 1]);
    world
        .run("UPDATE jobs.jobs SET state = 'dead', died_at = now() WHERE payload::text = '2500'")
        .await;
    assert!(world.count("jobs.jobs WHERE state = 'parked'").await > 100);

    let ended = tenant::end(&mut conn, "gone").await.unwrap();
    let expected = Ended {
        schedules: 2,
        jobs: 2_500,
        running: 1,
    };
    assert_eq!(ended, expected);
    let told = "jobs.jobs WHERE tenant = 'gone' AND state = 'running' AND cancel_requested";
    assert_eq!(world.count(told).await, 1);
    assert_eq!(world.count("jobs.jobs WHERE tenant = 'gone'").await, 1);
    assert_eq!(world.count("jobs.jobs WHERE cancel_requested").await, 1);
    assert_eq!(world.count("jobs.schedules").await, 1);
    assert_eq!(world.count("jobs.limits WHERE key = 'stays'").await, 1);
    assert_eq!(world.count("jobs.limits").await, 1);
    for job in &taken {
        assert!(world.settle(job, Outcome::Released).await);
    }
    let again = tenant::end(&mut conn, "gone").await.unwrap();
    assert_eq!(again, Ended::default());
    let mut left = numbers(&world.take(10).await);
    left.sort_unstable();
    assert_eq!(left, [-3, -2]);
}
