//! Refreshes that the caller asks for.

use std::time::Duration;

use chrono::TimeDelta;
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_shared::db::schema::{connections, refresh_leases};
use linkspan_simulator::Fault;
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use super::fixture::{age, app, connect, force, get, tokens};

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

/// Whoever forces a refresh wants a new token, and is told when there is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_forced_refresh_that_fails_says_so_and_shows_the_connection() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let before = tokens(&app.get(&path).await);
    app.provider.control().fail_next(Fault::TokenError {
        status: 503,
        body: "down for a moment".into(),
    });
    let failed = force(&app, &connection).await;
    assert_eq!(failed.status, 400, "{failed:?}");
    assert_eq!(failed.code(), "invalid_credentials");
    let shown = &failed.json()["error"]["payload"]["connection"];
    assert_eq!(shown["connection_id"], connection.as_str());
    assert_eq!(shown["credentials"], json!({}), "no secrets beside errors");
    let operation = shown["errors"][0]["log_id"].as_str().unwrap().to_owned();

    let kept = app.get(&path).await;
    assert_eq!(tokens(&kept), before, "the old token still works");
    let expected = json!([{ "type": "auth", "log_id": operation }]);
    assert_eq!(kept.json()["errors"], expected);
    let list = app.get("/connections").await.json();
    assert_eq!(list["connections"][0]["errors"], expected);

    let fresh = force(&app, &connection).await;
    assert_ne!(tokens(&fresh), before, "the next one succeeds");
    assert_eq!(fresh.json()["errors"], json!([]));
    let list = app.get("/connections").await.json();
    assert_eq!(list["connections"][0]["errors"], json!([]));
    let failure = logged(&app, &operation).await;
    assert_eq!(failure["action"], "refresh", "{failure}");
    assert_eq!(failure["status"], "failed", "{failure}");
}

/// An operation of the log, when it is stored.
async fn logged(app: &TestApp, id: &str) -> Value {
    let asking = async {
        loop {
            let reply = app.get(&format!("/logs/operations/{id}")).await;
            if reply.status == 200 {
                return reply.json()["data"].clone();
            }
            tokio::task::yield_now().await;
        }
    };
    let logged = tokio::time::timeout(Duration::from_secs(20), asking).await;
    logged.unwrap_or_else(|_| panic!("{id} is not logged"))
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
    let app = app().await;
    connect(&app, "one", TimeDelta::hours(2)).await;
    let slow = Fault::SlowToken(Duration::from_millis(500));
    app.provider.control().fail_next(slow);
    let control = app.provider.control();
    let replace = async {
        control.wait_until(|control| control.refreshes() == 1).await;
        connect(&app, "one", TimeDelta::hours(2)).await
    };
    let (reply, newer) = tokio::join!(force(&app, "one"), replace);
    assert_eq!(tokens(&reply), newer, "what is stored holds");
    assert_eq!(tokens(&get(&app, "one").await), newer);
}

/// The row has changed while a refresh was under way, and holds the spent
/// refresh token all the same: what the provider gave is the only valid one.
#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_overwrites_the_token_that_it_spent() {
    let app = app().await;
    let old = connect(&app, "one", TimeDelta::hours(2)).await;
    let slow = Fault::SlowToken(Duration::from_millis(500));
    app.provider.control().fail_next(slow);
    let control = app.provider.control();
    let change = async {
        control.wait_until(|control| control.refreshes() == 1).await;
        age(&app, "one", "credentials_version = credentials_version + 1").await;
    };
    let (reply, ()) = tokio::join!(force(&app, "one"), change);
    assert_ne!(tokens(&reply), old);
    assert_eq!(tokens(&get(&app, "one").await), tokens(&reply));
    let live = control.live_refresh_token(old.1.as_str().unwrap());
    assert_eq!(live.map(Value::from), Some(tokens(&reply).1));
}
