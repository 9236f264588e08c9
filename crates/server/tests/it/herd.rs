//! Calls that all find the cache empty at once.

use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use linkspan_shared::Core;
use linkspan_shared::connections::live::{self, Freshness, LiveKey};
use linkspan_shared::db::Connection;
use linkspan_testkit::TestApp;
use secrecy::ExposeSecret as _;

/// More than the pool has connections.
const CALLS: usize = 32;

#[derive(QueryableByName)]
struct Waiting {
    #[diesel(sql_type = BigInt)]
    waiting: i64,
}

/// How many queries wait for the table that the test holds.
async fn waiting(app: &TestApp) -> i64 {
    let mut conn = app.core.db.conn().await.unwrap();
    let sql = "SELECT count(*) AS waiting FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waiting: Waiting = diesel::sql_query(sql).get_result(&mut conn).await.unwrap();
    waiting.waiting
}

/// Locks a table, has many ask for what is in it, and counts their queries.
async fn asked_of<T>(app: &TestApp, asked: &Core, table: &str, ask: impl AsyncFn() -> T) -> Vec<T> {
    // Past a pooler, since the lock is this session's until it ends.
    let url = app.database.direct_url();
    let mut holder = Connection::connect(url.expose_secret()).await.unwrap();
    let lock = format!("BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
    holder.batch_execute(&lock).await.unwrap();
    // Each has begun by the time that the last one first waits.
    let all = futures_util::future::join_all((0..CALLS).map(|_| ask()));
    let release = async {
        while waiting(app).await == 0 {}
        for _ in 0..20 {
            // It needs a connection of the pool, of which the others take one.
            let pinged = tokio::time::timeout(Duration::from_secs(20), asked.db.ping());
            pinged.await.unwrap().unwrap();
        }
        assert_eq!(waiting(app).await, 1, "one query for all");
        holder.batch_execute("COMMIT").await.unwrap();
    };
    tokio::join!(all, release).0
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_find_nothing_cached_share_a_query() {
    let app = TestApp::start().await;
    let connection = app.connect_demo().await;
    // Nothing of it is cached in a server that has just started.
    let other = app.another_server().await;
    let key = LiveKey::new(app.dev.environment.id, "demo", &connection);
    let found = asked_of(&app, &other.core, "connections", async || {
        live::get(&other.core, key.clone(), Freshness::Cached).await
    });
    for live in found.await {
        assert_eq!(live.unwrap().connection.connection_id, connection);
    }
    let found = asked_of(&app, &other.core, "api_keys", async || {
        other.core.authenticate(&app.dev.api_key).await
    });
    for caller in found.await {
        let caller = caller.unwrap().expect("the key is known");
        assert_eq!(caller.environment.id, app.dev.environment.id);
    }
    let wrong = "00000000-0000-4000-8000-000000000000".to_owned().into();
    let found = asked_of(&app, &other.core, "api_keys", async || {
        other.core.authenticate(&wrong).await
    });
    assert!(
        found
            .await
            .into_iter()
            .all(|caller| caller.unwrap().is_none())
    );
    other.stop().await;
}
