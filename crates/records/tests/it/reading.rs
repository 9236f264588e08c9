//! Pages, filters, and records by their ids.

use linkspan_records::{Actions, Cursor, Query, StreamName};

use crate::world::{World, ids};

const NONE: Actions = Actions {
    added: false,
    updated: false,
    deleted: false,
};

async fn world() -> World {
    let world = World::new().await;
    for n in 0..8 {
        world.save(&[&format!("{{\"id\":\"{n}\",\"n\":0}}")]).await;
    }
    world
        .save(&[r#"{"id":"1","n":1}"#, r#"{"id":"3","n":1}"#])
        .await;
    world.delete(&[r#"{"id":"2"}"#, r#"{"id":"3"}"#]).await;
    world
}

async fn listed(world: &World, query: Query) -> Vec<String> {
    let records = world.all_with(query).await;
    records.iter().map(|record| record.id().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_combine_in_every_way() {
    let world = world().await;
    let with = |actions| Query {
        actions: Some(actions),
        ..Query::default()
    };
    let added = ["0", "4", "5", "6", "7"];
    for (actions, expected) in [
        (
            Actions {
                added: true,
                ..NONE
            },
            ids(&added),
        ),
        (
            Actions {
                updated: true,
                ..NONE
            },
            ids(&["1"]),
        ),
        (
            Actions {
                deleted: true,
                ..NONE
            },
            ids(&["2", "3"]),
        ),
        (
            Actions {
                added: true,
                deleted: true,
                ..NONE
            },
            ids(&[&added[..], &["2", "3"]].concat()),
        ),
        (
            Actions {
                updated: true,
                deleted: true,
                ..NONE
            },
            ids(&["1", "2", "3"]),
        ),
        (
            Actions {
                added: true,
                updated: true,
                ..NONE
            },
            ids(&[&added[..], &["1"]].concat()),
        ),
        (Actions::ALL, ids(&[&added[..], &["1", "2", "3"]].concat())),
    ] {
        assert_eq!(listed(&world, with(actions)).await, expected, "{actions:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_goes_on_from_any_record() {
    let world = world().await;
    let all = world.all().await;
    assert_eq!(all.len(), 8);
    for (at, record) in all.iter().enumerate() {
        let after = Cursor::decode(&record.cursor.encode()).unwrap();
        let rest = world
            .all_with(Query {
                after,
                ..Query::default()
            })
            .await;
        assert_eq!(rest, all[at + 1..]);
        // Its time says the same as its cursor.
        let after = Cursor::at(record.cursor.time());
        assert_eq!(
            world
                .all_with(Query {
                    after,
                    ..Query::default()
                })
                .await,
            rest
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_their_ids() {
    let world = world().await;
    let query = |list: &[&str]| Query {
        ids: Some(ids(list)),
        ..Query::default()
    };
    let found = listed(&world, query(&["7", "nobody", "1", "0", "2", "7"])).await;
    assert_eq!(found, ids(&["0", "7", "1", "2"]));
    let actions = Some(Actions {
        deleted: true,
        ..NONE
    });
    let deleted = Query {
        actions,
        ..query(&["7", "2"])
    };
    assert_eq!(listed(&world, deleted).await, ids(&["2"]));
    assert_eq!(listed(&world, query(&[])).await, ids(&[]));
    let by_ids = world
        .store
        .get_by_ids(&world.name, ids(&["5", "2"]))
        .await
        .unwrap();
    assert_eq!(by_ids.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_there_is_empty() {
    let world = world().await;
    let name = StreamName::base(world.name.environment, 1, "Nothing");
    let query = Query {
        limit: 10,
        ..Query::default()
    };
    let page = world.store.list(&name, &query).await.unwrap();
    assert_eq!((page.records.len(), page.next), (0, None));
    assert_eq!(
        world.store.get_by_ids(&name, ids(&["1"])).await.unwrap(),
        []
    );
    assert_eq!(world.store.last(&name).await.unwrap(), Cursor::START);
    assert_eq!(world.store.counts(&name).await.unwrap(), None);
    assert_eq!(
        world
            .number("SELECT count(*) AS number FROM records.streams")
            .await,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_one_range_of_an_index() {
    #[derive(diesel::QueryableByName)]
    struct Line {
        #[diesel(sql_type = diesel::sql_types::Text)]
        #[diesel(column_name = "QUERY PLAN")]
        text: String,
    }
    use diesel_async::{RunQueryDsl, SimpleAsyncConnection};
    let world = world().await;
    world
        .run_sql(
            "INSERT INTO records.records (environment_id, stream, key, hash, sequence, added, \
             deleted, payload) SELECT environment_id, id, gen_random_uuid(), gen_random_uuid(), \
             sequence + n, sequence + n, false, 'x' FROM records.streams, \
             generate_series(1, 20000) AS n",
        )
        .await;
    let mut conn = world.db.conn().await.unwrap();
    conn.batch_execute(
        "SET enable_sort = off; SET enable_bitmapscan = off; SET enable_seqscan = off",
    )
    .await
    .unwrap();
    let plan: Vec<Line> = diesel::sql_query(
        "EXPLAIN SELECT p.* FROM records.streams s CROSS JOIN LATERAL (SELECT r.*, \
         sum(octet_length(r.payload)) OVER (ORDER BY r.stream, r.sequence ROWS UNBOUNDED \
         PRECEDING) FROM records.records r WHERE r.stream = s.id AND r.sequence > 5 \
         ORDER BY r.stream, r.sequence LIMIT 100) p \
         WHERE s.connection = 7 AND p.environment_id = s.environment_id",
    )
    .load(&mut conn)
    .await
    .unwrap();
    let plan: Vec<_> = plan.into_iter().map(|line| line.text).collect();
    let plan = plan.join("\n");
    assert!(
        plan.contains("Index Scan using records_order") && !plan.contains("Sort"),
        "{plan}"
    );
}
