//! Operations reach the table, all of them and whole.

use std::time::Duration;

use diesel::sql_types::{BigInt, Jsonb, Nullable, SmallInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use linkspan_shared::db::Connection;
use linkspan_shared::logs::{Kind, Level, Operation, Settings, Writer};
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_testkit::TestDatabase;
use secrecy::ExposeSecret;
use serde_json::Value;
use uuid::Uuid;

#[derive(Debug, QueryableByName)]
struct Committed {
    #[diesel(sql_type = Text)]
    waits: String,
    #[diesel(sql_type = BigInt)]
    stored: i64,
}

/// More than a few INSERTs, and not a whole number of them.
const MANY: usize = 4_321;

#[derive(Debug, QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    all: i64,
    #[diesel(sql_type = BigInt)]
    different: i64,
}

#[derive(Debug, QueryableByName)]
struct Stored {
    #[diesel(sql_type = Nullable<Text>)]
    connection_id: Option<String>,
    #[diesel(sql_type = Nullable<SmallInt>)]
    http_status: Option<i16>,
    #[diesel(sql_type = Nullable<Text>)]
    error_code: Option<String>,
    #[diesel(sql_type = Jsonb)]
    messages: Value,
}

/// Everything is stored.
const ALL: Settings = Settings {
    retention_days: 15,
    operations_per_second: None,
};

fn operation(environment: Uuid) -> Operation {
    Operation::begin(EnvironmentId(environment), Kind::Proxy, "call")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_is_stored_once_when_the_writer_ends() {
    let database = TestDatabase::new().await;
    let (writer, task) = Writer::start(database.database(), ALL);
    let environment = Uuid::new_v4();
    for _ in 0..MANY {
        writer.write(operation(environment));
    }
    drop(writer);
    task.finish().await;
    let mut conn = database.database().conn().await.unwrap();
    let counted: Counted =
        sql_query("SELECT count(*) AS all, count(DISTINCT id) AS different FROM logs.operations")
            .get_result(&mut conn)
            .await
            .unwrap();
    assert_eq!((counted.all, counted.different), (4_321, 4_321));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_within_a_batch_stays_with_its_operation() {
    let database = TestDatabase::new().await;
    let (writer, task) = Writer::start(database.database(), ALL);
    let environment = Uuid::new_v4();
    let mut full = operation(environment).about("crm", "demo", "c-1");
    full.http_status = Some(502);
    full.fail(Some("upstream_unreachable"), "it said \"no\", {1,2} and \\");
    let mut odd = operation(environment).about("crm", "demo", "c-2");
    odd.say(Level::Info, "a NUL: \0.");
    for one in [full, operation(environment), odd] {
        writer.write(one);
    }
    drop(writer);
    task.finish().await;
    let mut conn = database.database().conn().await.unwrap();
    let stored: Vec<Stored> = sql_query(
        "SELECT connection_id, http_status, error_code, messages FROM logs.operations \
         ORDER BY connection_id NULLS LAST",
    )
    .load(&mut conn)
    .await
    .unwrap();
    let [full, odd, bare] = stored.as_slice() else {
        panic!("{stored:?}");
    };
    assert_eq!(full.connection_id.as_deref(), Some("c-1"));
    assert_eq!(full.http_status, Some(502));
    assert_eq!(full.error_code.as_deref(), Some("upstream_unreachable"));
    let text = "it said \"no\", {1,2} and \\";
    assert_eq!(full.messages[0]["text"], text);
    assert_eq!(odd.messages[0]["text"], "a NUL: \u{fffd}.");
    assert_eq!((bare.http_status, &bare.error_code), (None, &None));
    assert_eq!(bare.messages, serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn few_operations_are_stored_though_no_more_come() {
    let database = TestDatabase::new().await;
    let (writer, task) = Writer::start(database.database(), ALL);
    writer.write(operation(Uuid::new_v4()));
    let mut conn = database.database().conn().await.unwrap();
    let stored = async {
        loop {
            let counted: Counted = sql_query(
                "SELECT count(*) AS all, count(DISTINCT id) AS different FROM logs.operations",
            )
            .get_result(&mut conn)
            .await
            .unwrap();
            if counted.all == 1 {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), stored)
        .await
        .expect("the operation is stored while the writer is there");
    drop(writer);
    task.finish().await;
}

/// Refuses an INSERT into the log whose commit would wait, and lets all others
/// wait, as a database does unless it is told otherwise.
const WATCH: &str = "\
    CREATE FUNCTION refuse_to_wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF current_setting('synchronous_commit') <> 'off' THEN \
            RAISE 'this commit waits for the disk'; \
        END IF; \
        RETURN NULL; \
    END $$; \
    CREATE TRIGGER refuse_to_wait AFTER INSERT ON logs.operations \
        FOR EACH STATEMENT EXECUTE FUNCTION refuse_to_wait(); \
    DO $$ BEGIN \
        EXECUTE format('ALTER DATABASE %I SET synchronous_commit = on', current_database()); \
    END $$";

#[tokio::test(flavor = "multi_thread")]
async fn commits_of_the_log_alone_do_not_wait_for_the_disk() {
    let test = TestDatabase::new().await;
    // Past a pooler, whose connections would not hear of the database's setting.
    let mut conn = Connection::connect(test.direct_url().expose_secret())
        .await
        .unwrap();
    conn.batch_execute(WATCH).await.unwrap();
    let database = test.database();
    let (writer, task) = Writer::start(database.clone(), ALL);
    writer.write(operation(Uuid::new_v4()));
    drop(writer);
    task.finish().await;
    // All that the pool may have, so that the writer's is among them.
    let conns = futures_util::future::join_all((0..4).map(|_| database.conn())).await;
    for conn in conns {
        let mut conn = conn.unwrap();
        let shown: Committed = sql_query(
            "SELECT current_setting('synchronous_commit') AS waits, \
             (SELECT count(*) FROM logs.operations) AS stored",
        )
        .get_result(&mut conn)
        .await
        .unwrap();
        assert_eq!((shown.waits.as_str(), shown.stored), ("on", 1));
    }
}
