//! Streams that are deleted.

use chrono::{TimeDelta, Utc};
use linkspan_records::{Store, StreamName, Writer};
use linkspan_testkit::TestApp;

use crate::world::{World, ids, raws};

const LEFT: &str = "SELECT (SELECT count(*) FROM records.records) + (SELECT count(*) FROM records.seen) \
                    + (SELECT count(*) FROM records.dropped) AS number";

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_out_of_sight_at_once_and_swept_in_pieces() {
    let world = World::new().await;
    world.save(&[r#"{"id":1}"#, r#"{"id":2}"#]).await;
    world.store.track_begin(&world.name, None).await.unwrap();
    world.save(&[r#"{"id":1}"#]).await;
    world.store.drop_stream(&world.name).await.unwrap();
    assert_eq!(world.texts().await, ids(&[]));
    assert_eq!(world.store.counts(&world.name).await.unwrap(), None);
    assert_eq!(world.number(LEFT).await, 4);
    assert_eq!(world.store.sweep(1_000).await.unwrap(), 2);
    assert_eq!(world.number(LEFT).await, 0);
    assert_eq!(world.store.sweep(1_000).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_remembers_a_stream_that_is_gone_saves_to_a_new_one() {
    let world = World::new().await;
    let other = Store::new(world.db.clone(), world.vault.clone());
    let saved = world.save(&[r#"{"id":1}"#]).await;
    other.drop_stream(&world.name).await.unwrap();
    let again = world
        .save(&[r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":2}"#])
        .await;
    assert_eq!(
        (again.added, again.duplicates),
        (ids(&["1", "2"]), ids(&["2"]))
    );
    // A reader of the old stream goes on with its cursor.
    assert!(again.cursor > saved.cursor);
    other.drop_stream(&world.name).await.unwrap();
    world.store.track_begin(&world.name, None).await.unwrap();
    world.store.sweep(1_000).await.unwrap();
    assert_eq!(world.counts().await, (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_and_environments_take_their_streams_with_them() {
    let world = World::new().await;
    let environment = world.name.environment;
    let names: Vec<_> = [(1, "A"), (1, "B"), (2, "A")]
        .map(|(connection, model)| StreamName::base(environment, connection, model))
        .into();
    for name in &names {
        world
            .store
            .batch_save(name, raws(&[r#"{"id":1}"#]), Writer::default())
            .await
            .unwrap();
    }
    assert_eq!(
        world.store.drop_connection(environment, 1).await.unwrap(),
        2
    );
    assert!(world.store.counts(&names[2]).await.unwrap().is_some());
    assert_eq!(world.store.drop_environment(environment).await.unwrap(), 1);
    assert_eq!(world.store.sweep(100).await.unwrap(), 3);
    assert_eq!(world.number(LEFT).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_sync_has_saved_to_for_long_is_due() {
    let world = World::new().await;
    world.save(&[r#"{"id":1}"#]).await;
    let due = Utc::now() - TimeDelta::days(60);
    assert_eq!(world.store.delete_due(due, 10).await.unwrap(), 0);
    world
        .run_sql("UPDATE records.streams SET written_at = now() - interval '61 days'")
        .await;
    // A batch that changes nothing has come all the same.
    world.save(&[r#"{"id":1}"#]).await;
    assert_eq!(world.store.delete_due(due, 10).await.unwrap(), 0);
    world
        .run_sql("UPDATE records.streams SET written_at = now() - interval '61 days'")
        .await;
    assert_eq!(world.store.delete_due(due, 10).await.unwrap(), 1);
    assert_eq!(world.store.counts(&world.name).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_what_is_gone_are_found() {
    let app = TestApp::start().await;
    let store = Store::of(&app.core);
    app.connect_demo().await;
    let there = store_id(&app).await;
    let dev = app.dev.environment.id;
    let save = async |environment, connection| {
        let name = StreamName::base(environment, connection, "A");
        store
            .batch_save(&name, raws(&[r#"{"id":1}"#]), Writer::default())
            .await
            .unwrap();
        name
    };
    let kept = save(dev, there).await;
    let no_connection = save(dev, there + 1).await;
    let other_environment = save(app.prod.environment.id, there).await;
    assert_eq!(store.drop_orphans(&app.core).await.unwrap(), 2);
    assert!(store.counts(&kept).await.unwrap().is_some());
    for gone in [no_connection, other_environment] {
        assert_eq!(store.counts(&gone).await.unwrap(), None);
    }
    drop(store);
    app.stop().await;
}

async fn store_id(app: &TestApp) -> i64 {
    use diesel_async::RunQueryDsl;
    use linkspan_shared::db::schema::connections;
    let mut conn = app.core.db.conn().await.unwrap();
    let ids: Vec<i64> = diesel::QueryDsl::select(connections::table, connections::id)
        .load(&mut conn)
        .await
        .unwrap();
    ids[0]
}
