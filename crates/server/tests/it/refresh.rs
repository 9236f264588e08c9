//! Fresh credentials, and none lost.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_shared::db::schema::{connections, refresh_leases};
use linkspan_simulator::Fault;
use linkspan_testkit::TestApp;
use serde_json::Value;

async fn force(app: &TestApp, connection: &str) -> linkspan_testkit::Reply {
    let path = format!("/connections/{connection}?provider_config_key=demo&force_refresh=true");
    app.get(&path).await
}

fn tokens(reply: &linkspan_testkit::Reply) -> (Value, Value) {
    let credentials = &reply.json()["credentials"];
    (
        credentials["access_token"].clone(),
        credentials["refresh_token"].clone(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_refresh_brings_new_tokens_and_stores_them() {
    // With one connection, a refresh that held it across the provider's call
    // would wait for itself.
    let app = TestApp::start_with(&[("LINKSPAN_DATABASE_MAX_CONNECTIONS", "1")]).await;
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let before = tokens(&app.get(&path).await);
    let fresh = force(&app, &connection).await;
    assert_eq!(fresh.status, 200, "{fresh:?}");
    assert_ne!(tokens(&fresh).0, before.0);
    assert_ne!(tokens(&fresh).1, before.1);
    assert_eq!(tokens(&app.get(&path).await), tokens(&fresh));
    assert_eq!(app.provider.control().refreshes(), 1);
    assert_eq!(app.provider.control().refusals().len(), 0);
    let mut conn = app.core.db.conn().await.unwrap();
    let leases: i64 = refresh_leases::table
        .count()
        .get_result(&mut conn)
        .await
        .unwrap();
    assert_eq!(leases, 0, "the lease is given back");
}

/// The provider is slow enough for all of them to find its answer under way,
/// also on a machine that is busy.
#[tokio::test(flavor = "multi_thread")]
async fn many_forced_refreshes_at_once_ask_the_provider_once() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    app.provider
        .control()
        .fail_next(Fault::SlowToken(Duration::from_secs(3)));
    let all = (0..20).map(|_| force(&app, &connection));
    let replies = futures_util::future::join_all(all).await;
    let first = tokens(&replies[0]);
    for reply in &replies {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(tokens(reply), first);
    }
    assert_eq!(app.provider.control().refreshes(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_refresh_keeps_the_old_token_while_it_works() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let before = tokens(&app.get(&path).await);
    app.provider.control().fail_next(Fault::TokenError {
        status: 503,
        body: "down for a moment".into(),
    });
    let kept = force(&app, &connection).await;
    assert_eq!(kept.status, 200, "{kept:?}");
    assert_eq!(tokens(&kept), before);
    let mut conn = app.core.db.conn().await.unwrap();
    let failed: Option<chrono::DateTime<chrono::Utc>> = connections::table
        .select(connections::last_refresh_failure_at)
        .first(&mut conn)
        .await
        .unwrap();
    assert!(failed.is_some());
    assert_ne!(
        tokens(&force(&app, &connection).await),
        before,
        "the next one succeeds"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_hangs_up_does_not_lose_the_token() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let before = tokens(&app.get(&path).await);
    app.provider
        .control()
        .fail_next(Fault::SlowToken(Duration::from_millis(500)));
    let control = app.provider.control();
    tokio::select! {
        reply = force(&app, &connection) => panic!("it answered: {reply:?}"),
        () = control.wait_until(|control| control.pending_faults() == 0) => {}
    }
    control.wait_until(|control| control.refreshes() == 1).await;
    let version = || async {
        let mut conn = app.core.db.conn().await.unwrap();
        connections::table
            .select(connections::credentials_version)
            .first::<i64>(&mut conn)
            .await
            .unwrap()
    };
    let stored = async {
        while version().await < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stored)
        .await
        .expect("it is stored");
    let forced = force(&app, &connection).await;
    assert_eq!(
        forced.status, 200,
        "the refresh token that was stored is good: {forced:?}"
    );
    assert_ne!(tokens(&forced), before);
}

/// The connection is replaced while a refresh of its old credentials is under
/// way: what the provider gives then belongs to nobody any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_does_not_overwrite_newer_credentials() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let before = tokens(&app.get(&path).await);
    let slow = Fault::SlowToken(Duration::from_millis(500));
    app.provider.control().fail_next(slow);
    let control = app.provider.control();
    let replace = async {
        control
            .wait_until(|control| control.pending_faults() == 0)
            .await;
        let mut conn = app.core.db.conn().await.unwrap();
        diesel::update(connections::table)
            .set(connections::credentials_version.eq(connections::credentials_version + 1))
            .execute(&mut conn)
            .await
            .unwrap();
    };
    let (reply, ()) = tokio::join!(force(&app, &connection), replace);
    assert_eq!(control.refreshes(), 1);
    assert_eq!(tokens(&reply), before, "what is stored holds");
    assert_eq!(tokens(&app.get(&path).await), before);
}
