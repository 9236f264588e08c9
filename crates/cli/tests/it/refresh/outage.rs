//! The database goes away and comes back.

use std::time::Duration;

use linkspan_simulator::Fault;
use linkspan_testkit::OwnPostgres;
use secrecy::ExposeSecret as _;

use super::world::{FUTURE, PAST, World, eventually};
use crate::installation::Installation;

/// The answer comes while there is no database: it is held, and stored when
/// there is one again.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_gives_is_stored_after_the_outage() {
    let mut database = OwnPostgres::new();
    let world = World::on(Installation::at(database.url().expose_secret())).await;
    let [a, b] = [world.serve("a").await, world.serve("b").await];
    world.integrate(&a.api()).await;
    let before = world.connect(&a.api(), "one", FUTURE).await;
    let slow = Fault::SlowToken(Duration::from_secs(2));
    world.provider().fail_next(slow);
    let provider = world.provider();
    let outage = async {
        provider
            .wait_until(|provider| provider.refreshes() == 1)
            .await;
        database.stop();
        // Longer than the provider's answer takes, and than the lease lives.
        let mut log = a.server.running;
        log.says("could not be stored; trying again").await;
        log.says("could not be stored; trying again").await;
        database.start();
        log
    };
    let a_api = a.server.api.clone();
    let (answer, log) = tokio::join!(world.force(&a_api, "one"), outage);
    let (status, answer) = answer.expect("an answer");
    assert_eq!(status, 200, "{answer}");
    eventually("the other server answers", async || {
        matches!(world.try_get(&b.api(), "one", "").await, Some((200, _)))
    })
    .await;
    world.recovers(&b.api(), "one", &before).await;
    assert_eq!(provider.refreshes(), 2, "nobody repeated the first one");
    log.end_by(rustix::process::Signal::TERM).await;
    b.server.stop().await;
}

/// Calls fail while there is no database, and succeed afterwards, by the same
/// processes; no connection has lost its token.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_costs_errors_and_no_token() {
    const CONNECTIONS: usize = 12;
    let mut database = OwnPostgres::new();
    let world = World::on(Installation::at(database.url().expose_secret())).await;
    // A machine that is busy with other tests may keep a process from running for
    // longer than a lease of a second leaves it; then its refresh is repeated, as
    // refresh.md says.
    let lease = [("LINKSPAN_REFRESH_LEASE_MS", "5000")];
    let a = world.serve_with("a", &lease).await;
    let b = world.serve_with("b", &lease).await;
    world.integrate(&a.api()).await;
    // Every access token lives for a second, so that refreshes never end.
    world
        .provider()
        .set_access_token_life(Duration::from_secs(1));
    let mut before = Vec::new();
    for n in 0..CONNECTIONS {
        before.push(world.connect(&a.api(), &format!("c{n}"), PAST).await);
    }
    let apis = [a.api(), b.api()];
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let load = |n: usize| {
        let (world, apis, is_over) = (&world, &apis, &is_over);
        async move {
            let (mut good, mut bad) = (0, 0);
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let id = format!("c{}", n % CONNECTIONS);
                match world.try_get(&apis[n % 2], &id, "").await {
                    Some((200, _)) => good += 1,
                    _ => bad += 1,
                }
            }
            (good, bad)
        }
    };
    let restart = async {
        for _ in 0..2 {
            let goal = world.provider().refreshes() + 2 * CONNECTIONS;
            world
                .provider()
                .wait_until(|provider| provider.refreshes() >= goal)
                .await;
            database.stop();
            database.start();
        }
        let goal = world.provider().refreshes() + 2 * CONNECTIONS;
        world
            .provider()
            .wait_until(|provider| provider.refreshes() >= goal)
            .await;
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
    };
    let all = futures_util::future::join_all((0..2 * CONNECTIONS).map(load));
    let (counts, ()) = tokio::join!(all, restart);
    assert!(counts.iter().all(|(good, _)| *good > 0), "{counts:?}");
    assert!(counts.iter().any(|(_, bad)| *bad > 0), "{counts:?}");
    for (n, before) in before.iter().enumerate() {
        world.recovers(&apis[1], &format!("c{n}"), before).await;
    }
    assert_eq!(world.provider().refusals(), [], "no token was spent twice");
    a.server.stop().await;
    b.server.stop().await;
}
