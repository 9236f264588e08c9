//! The operation log as callers read it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use diesel_async::RunQueryDsl;
use http::Method;
use linkspan_api::{Scope, Scopes};
use linkspan_shared::logs::{Kind, Operation};
use linkspan_shared::tenancy::api_keys;
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

/// Waits until the writer has stored so many operations that a query finds.
async fn until_listed(app: &TestApp, query: &str, count: usize) -> Vec<Value> {
    for _ in 0..200 {
        let listed = list(app, &format!("{query}&limit=100")).await;
        if listed.len() >= count {
            assert_eq!(listed.len(), count, "{listed:?}");
            return listed;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("the log never had {count} operations for {query:?}");
}

async fn list(app: &TestApp, query: &str) -> Vec<Value> {
    let reply = app.get(&format!("/logs/operations?{query}")).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()["data"].as_array().unwrap().clone()
}

fn operation(app: &TestApp, kind: Kind, connection: &str, at: DateTime<Utc>) -> Operation {
    let id = app.dev.environment.id;
    let mut operation = Operation::begin(id, kind, "test").about("crm", "demo", connection);
    operation.created_at = at;
    operation
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_listed_and_read_with_its_messages() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    let headers = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", connection.as_str()),
    ];
    let key = &app.dev.api_key;
    app.call_as(key, Method::GET, "/proxy/api/me", &headers, Value::Null)
        .await;
    let listed = until_listed(&app, &format!("connection={connection}"), 2).await;
    let kinds: Vec<_> = listed
        .iter()
        .map(|operation| operation["type"].clone())
        .collect();
    assert_eq!(kinds, ["proxy", "auth"], "newest first");
    let call = &listed[0];
    assert_eq!(call["status"], "success");
    assert_eq!(call["http_status"], 200);
    assert_eq!(call["provider_config_key"], "demo");
    assert_eq!(call["provider"], "demo");
    assert!(call.get("messages").is_none(), "a list is short");
    let made = &listed[1];
    let path = format!("/logs/operations/{}", made["id"].as_str().unwrap());
    let full = app.get(&path).await.json();
    assert_eq!(full["data"]["action"], "create");
    assert_eq!(full["data"]["messages"][0]["level"], "info");
    assert_eq!(full["data"]["messages"][0]["text"], "Connection created");
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_each_other_without_gaps_though_times_are_equal() {
    let app = TestApp::start().await;
    // What the database keeps is microseconds.
    let at = DateTime::from_timestamp_micros(Utc::now().timestamp_micros()).unwrap();
    for back in [0, 0, 0, 1, 1, 2, 2] {
        app.core.logs.write(operation(
            &app,
            Kind::Proxy,
            "a",
            at - TimeDelta::seconds(back),
        ));
    }
    let all = until_listed(&app, "connection=a", 7).await;
    let mut paged = Vec::new();
    let mut cursor = String::new();
    for page in 0.. {
        assert!(page < 4, "three pages hold seven: {paged:?}");
        let path = format!("/logs/operations?connection=a&limit=3{cursor}");
        let reply = app.get(&path).await.json();
        let data = reply["data"].as_array().unwrap();
        assert!(data.len() <= 3);
        paged.extend(data.clone());
        let Some(next) = reply["pagination"]["next_cursor"].as_str() else {
            break;
        };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(paged, all);
    let exact = app
        .get("/logs/operations?connection=a&limit=7")
        .await
        .json();
    assert_eq!(
        exact["pagination"]["next_cursor"],
        Value::Null,
        "nothing comes after"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_leaves_what_it_names() {
    let app = TestApp::start().await;
    let now = Utc::now();
    let mut failed = operation(&app, Kind::Auth, "a", now);
    failed.fail(Some("invalid_credentials"), "The provider refused.");
    failed.integration = Some("mail".to_owned());
    for operation in [
        failed,
        operation(&app, Kind::Proxy, "a", now - TimeDelta::hours(1)),
        operation(&app, Kind::Admin, "b", now - TimeDelta::hours(2)),
    ] {
        app.core.logs.write(operation);
    }
    until_listed(&app, "", 3).await;
    let time = |hours: i64| {
        let at = now - TimeDelta::minutes(hours * 60 + 30);
        at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    };
    for (query, kinds) in [
        ("type=auth".to_owned(), &["auth"][..]),
        ("type=auth&type=admin".to_owned(), &["auth", "admin"]),
        ("status=failed".to_owned(), &["auth"]),
        ("status=success".to_owned(), &["proxy", "admin"]),
        ("integration=mail".to_owned(), &["auth"]),
        ("integration=crm&connection=a".to_owned(), &["proxy"]),
        ("connection=b".to_owned(), &["admin"]),
        ("connection=B".to_owned(), &[]),
        (format!("from={}", time(0)), &["auth"]),
        (format!("to={}", time(0)), &["proxy", "admin"]),
        (format!("from={}&to={}", time(1), time(0)), &["proxy"]),
        (format!("from={}&to={}", time(0), time(1)), &[]),
    ] {
        let found: Vec<_> = list(&app, &query).await;
        let found: Vec<_> = found
            .iter()
            .map(|row| row["type"].as_str().unwrap())
            .collect();
        assert_eq!(found, kinds, "{query}");
    }
    let row = &list(&app, "status=failed").await[0];
    assert_eq!(row["error_code"], "invalid_credentials");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_that_means_nothing_is_refused_by_name() {
    let app = TestApp::start().await;
    let garbled = "AQAGQ-8nb5_A";
    for (query, path) in [
        ("cursor=", "cursor"),
        ("cursor=x", "cursor"),
        (&format!("cursor={garbled}"), "cursor"),
        ("type=sync_of_nothing", "type"),
        ("status=running", "status"),
        ("from=yesterday", "from"),
        ("to=2026-13-01T00:00:00Z", "to"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("page=2", "page"),
    ] {
        let reply = app.get(&format!("/logs/operations?{query}")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "invalid_query_params")
        );
        assert_eq!(
            reply.json()["error"]["errors"][0]["path"],
            json!([path]),
            "{query}"
        );
    }
    // Postgres takes no NUL in a text.
    let reply = app.get("/logs/operations?connection=a%00b").await;
    assert_eq!(reply.status, 400, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_reads_its_own_log_with_the_scope_for_it() {
    let app = TestApp::start().await;
    app.core
        .logs
        .write(operation(&app, Kind::Proxy, "a", Utc::now()));
    let listed = until_listed(&app, "connection=a", 1).await;
    let path = format!("/logs/operations/{}", listed[0]["id"].as_str().unwrap());
    let theirs = &app.prod.api_key;
    let other = app
        .call_as(theirs, Method::GET, &path, &[], Value::Null)
        .await;
    assert_eq!(
        (other.status.as_u16(), other.code().as_str()),
        (404, "not_found")
    );
    let other = app
        .call_as(theirs, Method::GET, "/logs/operations", &[], Value::Null)
        .await;
    assert_eq!(
        other.json(),
        json!({ "data": [], "pagination": { "next_cursor": null } })
    );

    let everything_else: Scopes = Scope::ALL
        .iter()
        .copied()
        .filter(|&scope| scope != Scope::LogsRead)
        .collect();
    let key = {
        let mut conn = app.core.db.conn().await.unwrap();
        api_keys::create(&mut conn, app.dev.environment.id, "test", everything_else)
            .await
            .unwrap()
    };
    for path in ["/logs/operations", path.as_str()] {
        let refused = app.call_as(&key, Method::GET, path, &[], Value::Null).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (403, "forbidden")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_is_not_there_is_not_found() {
    let app = TestApp::start().await;
    for id in [
        uuid::Uuid::now_v7().to_string(),
        uuid::Uuid::new_v4().to_string(),
        "nonsense".to_owned(),
    ] {
        let reply = app.get(&format!("/logs/operations/{id}")).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (404, "not_found"),
            "{id}"
        );
    }
}

async fn partitions(app: &TestApp) -> Vec<String> {
    #[derive(diesel::QueryableByName)]
    struct Name {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
    }
    let mut conn = app.core.logs.database().conn().await.unwrap();
    let sql = "SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'logs'
         AND tablename LIKE 'operations\\_%' ORDER BY 1";
    let names: Vec<Name> = diesel::sql_query(sql).load(&mut conn).await.unwrap();
    names.into_iter().map(|row| row.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_day_drops_the_days_that_are_no_longer_kept() {
    let app = TestApp::start_with(&[("LINKSPAN_LOGS_RETENTION_DAYS", "3")]).await;
    let now = Utc::now();
    let day = |back: i64| {
        (now - TimeDelta::days(back))
            .format("operations_%Y%m%d")
            .to_string()
    };
    for back in [4, 3] {
        let at = now - TimeDelta::days(back);
        app.core.logs.write(operation(&app, Kind::Proxy, "a", at));
    }
    until_listed(&app, "connection=a", 2).await;
    assert_eq!(partitions(&app).await, [day(4), day(3)]);
    app.core
        .logs
        .write(operation(&app, Kind::Proxy, "new", now));
    until_listed(&app, "connection=new", 1).await;
    assert_eq!(partitions(&app).await, [day(3), day(0)]);
    until_listed(&app, "connection=a", 1).await;
    // What comes for a day that is gone is no reason to lose the rest.
    let at = now - TimeDelta::days(4);
    app.core
        .logs
        .write(operation(&app, Kind::Proxy, "late", at));
    app.core
        .logs
        .write(operation(&app, Kind::Proxy, "late", now));
    until_listed(&app, "connection=late", 2).await;
}
