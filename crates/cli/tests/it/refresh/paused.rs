//! The process that refreshes stands still for longer than its lease lives.

use std::time::Duration;

use linkspan_simulator::Rotation;
use rustix::process::Signal;
use serde_json::json;

use super::world::{FUTURE, World, eventually};

/// Another server repeats the refresh; the first one, awake again, neither
/// spoils nor repeats what the other has stored.
#[tokio::test(flavor = "multi_thread")]
async fn and_another_takes_over() {
    for point in ["refresh.leased", "refresh.answered", "refresh.stored"] {
        let world = World::new().await;
        let [a, b] = [world.serve("a").await, world.serve("b").await];
        world.provider().set_rotation(Rotation {
            reuse_interval: Duration::from_secs(60),
            revokes_on_reuse: true,
        });
        world.integrate(&a.api()).await;
        let before = world.connect(&a.api(), "one", FUTURE).await;
        a.at(point, "stop");
        let (a_api, b_api) = (a.api(), b.api());
        let other = async {
            a.is_there().await;
            let answer = world.force(&b_api, "one").await.expect("an answer");
            assert_eq!(answer.0, 200, "{point}: {answer:?}");
            a.server.running.signal(Signal::CONT);
        };
        let (answer, ()) = tokio::join!(world.force(&a_api, "one"), other);
        let answer = answer.expect("an answer");
        assert_eq!(answer.0, 200, "{point}: {answer:?}");
        world.recovers(&b_api, "one", &before).await;
        a.server.stop().await;
        b.server.stop().await;
    }
}

/// The provider takes a token once. Whoever repeats the refresh is refused, and
/// the connection shows it, until the first one is awake and stores what it has.
#[tokio::test(flavor = "multi_thread")]
async fn and_stores_the_only_valid_token_when_it_goes_on() {
    let world = World::new().await;
    let [a, b] = [world.serve("a").await, world.serve("b").await];
    world.integrate(&a.api()).await;
    let before = world.connect(&a.api(), "one", FUTURE).await;
    a.at("refresh.answered", "stop");
    let (a_api, b_api) = (a.api(), b.api());
    let other = async {
        a.is_there().await;
        let (status, refused) = world.force(&b_api, "one").await.expect("an answer");
        assert_eq!(status, 400, "{refused}");
        assert_eq!(refused["error"]["code"], "invalid_credentials", "{refused}");
        let (_, shown) = world.get(&b_api, "one").await;
        assert_eq!(shown["errors"][0]["type"], "auth", "{shown}");
        a.server.running.signal(Signal::CONT);
    };
    let (answer, ()) = tokio::join!(world.force(&a_api, "one"), other);
    let (status, answer) = answer.expect("an answer");
    assert_eq!(status, 200, "{answer}");
    world.recovers(&b_api, "one", &before).await;
    eventually("nothing is wrong any more", async || {
        world.get(&b_api, "one").await.1["errors"] == json!([])
    })
    .await;
    a.server.stop().await;
    b.server.stop().await;
}
