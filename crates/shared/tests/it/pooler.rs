//! The connection type leaves nothing behind on the server that a transaction
//! pooler could hand to somebody else.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Nullable, Text};
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_shared::db;
use linkspan_testkit::TestDatabase;

#[derive(QueryableByName, Debug, PartialEq)]
struct Values {
    #[diesel(sql_type = Integer)]
    number: i32,
    #[diesel(sql_type = Text)]
    text: String,
    #[diesel(sql_type = Nullable<Bool>)]
    flag: Option<bool>,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

fn values(number: i32) -> Values {
    Values {
        number,
        text: format!("né \u{1f6a2} {number}"),
        flag: (number % 2 == 0).then_some(true),
    }
}

async fn echo(conn: &mut db::Connection, number: i32) -> Values {
    let sent = values(number);
    diesel::sql_query("SELECT $1 AS number, $2 AS text, $3 AS flag")
        .bind::<Integer, _>(sent.number)
        .bind::<Text, _>(&sent.text)
        .bind::<Nullable<Bool>, _>(sent.flag)
        .get_result(conn)
        .await
        .unwrap()
}

/// More clients than a pooler has servers, each sure to get its own answers.
#[tokio::test(flavor = "multi_thread")]
async fn many_clients_at_once_get_their_own_answers() {
    let database = TestDatabase::new().await;
    let pool = database.database();
    let clients = (0..8).map(|client| {
        let pool = pool.clone();
        tokio::spawn(async move {
            for round in 0..50 {
                let number = client * 1_000 + round;
                let mut conn = pool.conn().await.unwrap();
                assert_eq!(echo(&mut conn, number).await, values(number));
            }
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_statement_is_left_prepared() {
    let database = TestDatabase::new().await;
    let pool = database.database();
    let mut conn = pool.conn().await.unwrap();
    for number in 0..10 {
        echo(&mut conn, number).await;
    }
    let left: Count = diesel::sql_query("SELECT count(*) AS count FROM pg_prepared_statements")
        .get_result(&mut conn)
        .await
        .unwrap();
    assert_eq!(left.count, 0);
}

/// A transaction that its caller abandons must not reach the next caller.
#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_transaction_is_rolled_back() {
    let database = TestDatabase::new().await;
    let pool = database.database();
    let mut conn = pool.conn().await.unwrap();
    let (inside, reached) = tokio::sync::oneshot::channel();
    let abandoned = conn.transaction::<(), diesel::result::Error, _>(async |conn| {
        diesel::sql_query("INSERT INTO accounts (id, name) VALUES (gen_random_uuid(), 'lost')")
            .execute(conn)
            .await?;
        inside.send(()).unwrap();
        std::future::pending().await
    });
    tokio::select! {
        _ = abandoned => panic!("it waits forever"),
        reached = reached => reached.unwrap(),
    }
    drop(conn);
    let mut conn = pool.conn().await.unwrap();
    let found: Count = diesel::sql_query("SELECT count(*) AS count FROM accounts")
        .get_result(&mut conn)
        .await
        .unwrap();
    assert_eq!(found.count, 0);
}
