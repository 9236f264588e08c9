//! The process that refreshes is killed.

use std::time::Duration;

use linkspan_simulator::{Fault, Rotation};
use rustix::process::Signal;

use super::world::{FUTURE, World};

/// Nobody calls afterwards: another server finds by itself what was left.
async fn killed_at(point: &str, rotation: Rotation) {
    let world = World::new().await;
    let [a, b] = [world.serve("a").await, world.serve("b").await];
    world.provider().set_rotation(rotation);
    world.integrate(&a.api()).await;
    let before = world.connect(&a.api(), "one", FUTURE).await;
    a.at(point, "kill");
    assert_eq!(world.force(&a.api(), "one").await, None, "it died");
    a.server.running.died().await;
    world.recovers(&b.api(), "one", &before).await;
    b.server.stop().await;
}

const STRICT: Rotation = Rotation {
    reuse_interval: Duration::ZERO,
    revokes_on_reuse: true,
};

/// As real providers with one-time refresh tokens have it.
const FORGIVING: Rotation = Rotation {
    reuse_interval: Duration::from_secs(30),
    revokes_on_reuse: true,
};

#[tokio::test(flavor = "multi_thread")]
async fn before_it_asks() {
    killed_at("refresh.leased", STRICT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_it_is_answered() {
    killed_at("refresh.answered", FORGIVING).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_it_has_stored() {
    killed_at("refresh.stored", STRICT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_it_is_done() {
    killed_at("refresh.released", STRICT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_provider_answers() {
    let world = World::new().await;
    let [a, b] = [world.serve("a").await, world.serve("b").await];
    world.provider().set_rotation(FORGIVING);
    world.integrate(&a.api()).await;
    let before = world.connect(&a.api(), "one", FUTURE).await;
    let slow = Fault::SlowToken(Duration::from_secs(30));
    world.provider().fail_next(slow);
    let provider = world.provider();
    let kill = async {
        provider
            .wait_until(|provider| provider.refreshes() == 1)
            .await;
        a.server.running.signal(Signal::KILL);
    };
    let a_api = a.api();
    let (answer, ()) = tokio::join!(world.force(&a_api, "one"), kill);
    assert_eq!(answer, None, "it died");
    a.server.running.died().await;
    world.recovers(&b.api(), "one", &before).await;
    b.server.stop().await;
}
