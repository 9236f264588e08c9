//! Operations reach the table, all of them and whole.

use diesel::sql_types::{BigInt, Jsonb, Nullable, SmallInt, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_shared::logs::{Kind, Level, Operation, Writer};
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_testkit::TestDatabase;
use serde_json::Value;
use uuid::Uuid;

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

fn operation(environment: Uuid) -> Operation {
    Operation::begin(EnvironmentId(environment), Kind::Proxy, "call")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_handed_over_is_stored_once_when_the_writer_ends() {
    let database = TestDatabase::new().await;
    let (writer, task) = Writer::start(database.database(), 15);
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
    let (writer, task) = Writer::start(database.database(), 15);
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
