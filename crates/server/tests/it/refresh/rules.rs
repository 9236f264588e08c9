//! When the provider is asked, and when it is not (CONTRACT 2.8).

use chrono::TimeDelta;
use http::Method;
use serde_json::{Value, json};

use super::fixture::{
    A_DAY_LATER, BACKOFF_OVER, EXPIRED, age, app, connect, events, force, get, refuse_next, tokens,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_refreshed_before_it_expires_and_not_long_before() {
    let app = app().await;
    let old = connect(&app, "fresh", TimeDelta::hours(2)).await;
    assert_eq!(tokens(&get(&app, "fresh").await), old);
    assert_eq!(app.provider.control().token_requests(), 0);
    // Its life is as long as it was imported with, so this is its last fifth.
    let old = connect(&app, "expired", EXPIRED).await;
    let reply = get(&app, "expired").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_ne!(tokens(&reply), old);
    assert_eq!(app.provider.control().token_requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_failure_nobody_asks_for_half_a_minute() {
    let app = app().await;
    connect(&app, "one", EXPIRED).await;
    let control = app.provider.control();
    refuse_next(&app);
    let failed = get(&app, "one").await;
    assert_eq!(
        (failed.status.as_u16(), &*failed.code()),
        (400, "invalid_credentials")
    );
    assert!(
        failed.json()["error"]["message"]
            .as_str()
            .unwrap()
            .contains("no longer")
    );
    for _ in 0..2 {
        let early = get(&app, "one").await;
        let told = (early.status.as_u16(), early.code());
        assert_eq!(told, (424, "connection_refresh_backoff".to_owned()));
    }
    assert_eq!(control.token_requests(), 1);
    age(&app, "one", BACKOFF_OVER).await;
    let reply = get(&app, "one").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["errors"], json!([]));
    let happened = [
        "connection.created",
        "credentials.failed",
        "credentials.recovered",
    ];
    assert_eq!(events(&app, "one").await, happened);
    assert_eq!(control.token_requests(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn force_does_not_wait_for_the_half_minute() {
    let app = app().await;
    let old = connect(&app, "one", EXPIRED).await;
    refuse_next(&app);
    assert_eq!(get(&app, "one").await.status, 400);
    let forced = force(&app, "one").await;
    assert_eq!(forced.status, 200, "{forced:?}");
    assert_ne!(tokens(&forced), old);
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_on_four_days_exhaust_a_connection_until_one_is_forced() {
    let app = app().await;
    connect(&app, "one", EXPIRED).await;
    let control = app.provider.control();
    for day in 1..=4 {
        // Two on one day count once.
        for _ in 0..2 {
            refuse_next(&app);
            let failed = get(&app, "one").await;
            assert_eq!(failed.status, 400, "day {day}: {failed:?}");
            age(&app, "one", BACKOFF_OVER).await;
            if day == 4 {
                break;
            }
        }
        age(&app, "one", A_DAY_LATER).await;
    }
    let asked = control.token_requests();
    assert_eq!(asked, 7);
    let exhausted = get(&app, "one").await;
    let told = (exhausted.status.as_u16(), exhausted.code());
    assert_eq!(told, (424, "connection_refresh_exhausted".to_owned()));
    let shown = &exhausted.json()["error"]["payload"]["connection"];
    assert_eq!(shown["errors"][0]["type"], "auth", "{shown}");
    assert_eq!(control.token_requests(), asked);

    let forced = force(&app, "one").await;
    assert_eq!(forced.status, 200, "{forced:?}");
    // A success makes the count begin anew.
    age(&app, "one", "credentials_expire_at = now()").await;
    refuse_next(&app);
    assert_eq!(force(&app, "one").await.status, 400);
    assert_eq!(get(&app, "one").await.status, 200, "its token still works");

    let failed = "credentials.failed";
    let days = [failed; 4];
    let happened = [
        &["connection.created"],
        &days[..],
        &["credentials.recovered", failed],
    ];
    assert_eq!(events(&app, "one").await, happened.concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn connecting_anew_ends_exhaustion() {
    let app = app().await;
    connect(&app, "one", EXPIRED).await;
    refuse_next(&app);
    assert_eq!(get(&app, "one").await.status, 400);
    age(&app, "one", "refresh_failure_days = 4").await;
    assert_eq!(
        get(&app, "one").await.code(),
        "connection_refresh_exhausted"
    );
    connect(&app, "one", EXPIRED).await;
    let reply = get(&app, "one").await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(reply.json()["errors"], json!([]));
    let happened = [
        "connection.created",
        "credentials.failed",
        "connection.replaced",
    ];
    assert_eq!(events(&app, "one").await, happened);
}

/// What is wrong on this side is shown, and is no reason to give up.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_client_does_not_exhaust_a_connection() {
    let app = app().await;
    connect(&app, "one", EXPIRED).await;
    let mut conn = app.core.db.conn().await.unwrap();
    let take_away = diesel::sql_query("UPDATE integrations SET client_id = NULL");
    diesel_async::RunQueryDsl::execute(take_away, &mut conn)
        .await
        .unwrap();
    drop(conn);
    for _ in 0..5 {
        let failed = get(&app, "one").await;
        assert_eq!(failed.status, 400, "{failed:?}");
        let message = failed.json()["error"]["message"].clone();
        assert!(
            message
                .as_str()
                .unwrap()
                .contains("no credentials with its provider"),
            "{message}"
        );
        age(&app, "one", BACKOFF_OVER).await;
        age(
            &app,
            "one",
            "last_refresh_failure_at = last_refresh_failure_at - interval '1 day'",
        )
        .await;
    }
    assert_eq!(app.provider.control().token_requests(), 0);
    assert_ne!(
        get(&app, "one").await.code(),
        "connection_refresh_exhausted"
    );
}

/// A proxied call with a token that cannot be refreshed says so, and does not
/// reach the API.
#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_answers_424_while_it_backs_off() {
    let app = app().await;
    connect(&app, "one", EXPIRED).await;
    refuse_next(&app);
    assert_eq!(get(&app, "one").await.status, 400);
    let headers = [("provider-config-key", "demo"), ("connection-id", "one")];
    let key = &app.dev.api_key;
    let reply = app
        .call_as(key, Method::GET, "/proxy/api/items", &headers, Value::Null)
        .await;
    let told = (reply.status.as_u16(), reply.code());
    assert_eq!(told, (424, "connection_refresh_backoff".to_owned()));
    let seen = app.provider.control().requests();
    assert!(seen.iter().all(|request| request.path != "/api/items"));
}
