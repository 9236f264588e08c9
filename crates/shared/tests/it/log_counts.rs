//! Successes that are only counted: each once, whatever becomes of the database.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use diesel::sql_types::BigInt;
use diesel::{QueryableByName, sql_query};
use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
use linkspan_shared::db::{self, Database};
use linkspan_shared::logs::{Kind, Operation, Settings, Writer};
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_testkit::TestDatabase;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;
use uuid::Uuid;

#[derive(Debug, QueryableByName)]
struct Told {
    #[diesel(sql_type = BigInt)]
    stored: i64,
    #[diesel(sql_type = BigInt)]
    counted: i64,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

async fn told(database: &TestDatabase) -> Told {
    let mut conn = database.database().conn().await.unwrap();
    sql_query(
        "SELECT (SELECT count(*) FROM logs.operations) AS stored, \
         coalesce(sum(successes), 0)::bigint AS counted, count(*) AS rows \
         FROM logs.counted_operations",
    )
    .get_result(&mut conn)
    .await
    .unwrap()
}

fn settings(operations_per_second: u32) -> Settings {
    Settings {
        retention_days: 3,
        operations_per_second: NonZeroU32::new(operations_per_second),
    }
}

fn call(environment: Uuid) -> Operation {
    Operation::begin(EnvironmentId(environment), Kind::Proxy, "call").about("crm", "demo", "c-1")
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_of_one_process_after_the_other_add_up() {
    let database = TestDatabase::new().await;
    let environment = Uuid::new_v4();
    for process in 1..=3 {
        let (writer, task) = Writer::start(database.database(), settings(1));
        for _ in 0..1_000 {
            writer.write(call(environment));
        }
        drop(writer);
        task.finish().await;
        let told = told(&database).await;
        assert_eq!(told.stored + told.counted, process * 1_000, "{told:?}");
        assert!(told.rows >= process, "each has rows of its own: {told:?}");
    }
}

/// Two refusals; a sequence goes on though the statement is undone.
const REFUSE_TWICE: &str = "\
    CREATE SEQUENCE refusals; \
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
        IF nextval('refusals') <= 2 THEN RAISE 'not now'; END IF; \
        RETURN NULL; \
    END $$; \
    CREATE TRIGGER refuse AFTER INSERT ON logs.counted_operations \
        FOR EACH STATEMENT EXECUTE FUNCTION refuse()";

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_counts_for_a_while_loses_none() {
    let database = TestDatabase::new().await;
    let mut conn = database.database().conn().await.unwrap();
    conn.batch_execute(REFUSE_TWICE).await.unwrap();
    let (writer, task) = Writer::start(database.database(), settings(1));
    let environment = Uuid::new_v4();
    for _ in 0..1_000 {
        writer.write(call(environment));
    }
    drop(writer);
    task.finish().await;
    let told = told(&database).await;
    assert_eq!(told.stored + told.counted, 1_000, "{told:?}");
}

/// Passes connections on to a database, and cuts the first one on which counts
/// were stored before the client hears of it. Gives the URL, and whether it has.
async fn cut_after_counts(database: &TestDatabase) -> (SecretString, Arc<AtomicBool>) {
    let url: Url = database.direct_url().expose_secret().parse().unwrap();
    let (host, port) = (url.host_str().unwrap(), url.port().unwrap_or(5432));
    let behind = format!("{host}:{port}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut front = url.clone();
    front.set_host(Some("127.0.0.1")).unwrap();
    front
        .set_port(Some(listener.local_addr().unwrap().port()))
        .unwrap();
    let has_cut = Arc::new(AtomicBool::new(false));
    let is_cut = Arc::clone(&has_cut);
    tokio::spawn(async move {
        loop {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(&behind).await.unwrap();
            tokio::spawn(relay(client, server, Arc::clone(&is_cut)));
        }
    });
    (front.to_string().into(), has_cut)
}

async fn relay(mut client: TcpStream, mut server: TcpStream, is_cut: Arc<AtomicBool>) {
    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    let mut is_count = false;
    loop {
        tokio::select! {
            read = client.read(&mut asked) => {
                let Ok(read @ 1..) = read else { return };
                is_count |= contains(&asked[..read], b"logs.counted_operations");
                server.write_all(&asked[..read]).await.unwrap();
            }
            read = server.read(&mut answered) => {
                let Ok(read @ 1..) = read else { return };
                let is_done = is_count && contains(&answered[..read], b"INSERT 0 ");
                if is_done && !is_cut.swap(true, Ordering::SeqCst) {
                    return;
                }
                if client.write_all(&answered[..read]).await.is_err() {
                    return;
                }
            }
        }
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_acknowledgement_is_lost_counts_once() {
    let database = TestDatabase::new().await;
    let (url, has_cut) = cut_after_counts(&database).await;
    let behind = Database::new(&db::Settings {
        url,
        max_connections: 4,
        timeout: Duration::from_secs(5),
    });
    let (writer, task) = Writer::start(behind.unwrap(), settings(1));
    let environment = Uuid::new_v4();
    for _ in 0..1_000 {
        writer.write(call(environment));
    }
    drop(writer);
    task.finish().await;
    assert!(AtomicBool::load(&has_cut, Ordering::SeqCst));
    let told = told(&database).await;
    assert_eq!(told.stored + told.counted, 1_000, "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_day_drops_the_counts_that_are_no_longer_kept() {
    let database = TestDatabase::new().await;
    let environment = Uuid::new_v4();
    let [first_kept, too_old] = [3, 4].map(|days| Utc::now() - TimeDelta::days(days));
    for at in [first_kept, too_old] {
        let (writer, task) = Writer::start(database.database(), settings(1));
        for _ in 0..10 {
            let mut operation = call(environment);
            operation.created_at = at;
            writer.write(operation);
        }
        drop(writer);
        task.finish().await;
    }
    assert_eq!(told(&database).await.counted, 18);
    let (writer, task) = Writer::start(database.database(), settings(1));
    writer.write(call(environment));
    drop(writer);
    task.finish().await;
    assert_eq!(told(&database).await.counted, 9, "of the day that is kept");
}
