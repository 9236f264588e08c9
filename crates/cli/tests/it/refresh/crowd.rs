//! Many callers, and one refresh.

use std::time::Duration;

use linkspan_simulator::Fault;
use rustix::process::Signal;

use super::world::{FUTURE, PAST, World, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_at_three_processes_cause_one_refresh() {
    let world = World::new().await;
    let [a, b, c] = [
        world.serve("a").await,
        world.serve("b").await,
        world.serve("c").await,
    ];
    world.integrate(&a.api()).await;
    world.connect(&a.api(), "one", PAST).await;
    // Three times as long as a lease lives, so that it has to be renewed.
    let slow = Fault::SlowToken(Duration::from_secs(3));
    world.provider().fail_next(slow);
    let apis = [a.api(), b.api(), c.api()];
    let calls = (0..1000).map(|n| world.get(&apis[n % 3], "one"));
    let answers = futures_util::future::join_all(calls).await;
    let first = &answers[0].1["credentials"]["access_token"];
    assert!(first.is_string(), "{:?}", answers[0]);
    for (status, answer) in &answers {
        assert_eq!(*status, 200, "{answer}");
        assert_eq!(&answer["credentials"]["access_token"], first);
    }
    assert_eq!(world.provider().token_requests(), 1);
    for member in [a, b, c] {
        member.server.stop().await;
    }
}

/// The caller is gone and the server is told to end while the provider takes
/// its time: what it answers is stored all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_told_to_end_stores_what_it_is_given() {
    let world = World::new().await;
    let [a, b] = [world.serve("a").await, world.serve("b").await];
    world.integrate(&a.api()).await;
    let before = world.connect(&a.api(), "one", FUTURE).await;
    let slow = Fault::SlowToken(Duration::from_secs(3));
    world.provider().fail_next(slow);
    let provider = world.provider();
    let a_api = a.api();
    tokio::select! {
        answer = world.force(&a_api, "one") => panic!("it answered: {answer:?}"),
        () = provider.wait_until(|provider| provider.refreshes() == 1) => {}
    }
    a.server.running.end_by(Signal::TERM).await;
    let stored = world.stored(&b.api(), "one").await;
    assert_ne!(stored, before);
    assert_eq!(provider.live_refresh_token(&before), Some(stored));
    assert_eq!(provider.refreshes(), 1, "nobody had to repeat it");
    eventually("it can be refreshed", async || {
        matches!(world.force(&b.api(), "one").await, Some((200, _)))
    })
    .await;
    b.server.stop().await;
}
