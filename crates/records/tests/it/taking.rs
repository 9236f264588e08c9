//! Streams that a run takes, and empties, before it saves to them.

use linkspan_records::{Error, Query, Store, StreamName, Writer};

use crate::world::{World, ids, raws};

async fn is_refused(world: &World, name: &StreamName, fence: i64) -> bool {
    let batch = raws(&[r#"{"id":"late"}"#]);
    let late = world.store.batch_save(name, batch, Writer::fenced(fence));
    matches!(late.await, Err(Error::Stale { .. }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_has_taken_a_stream_keeps_earlier_ones_out_before_it_saves() {
    let world = World::new().await;
    let new = StreamName::base(world.name.environment, 7, "New");
    world.store.take(&world.name, 5).await.unwrap();
    world.save_as(Writer::fenced(5), &[r#"{"id":1}"#]).await;
    for name in [&world.name, &new] {
        world.store.take(name, 6).await.unwrap();
        world.store.take(name, 6).await.unwrap();
        let earlier = world.store.take(name, 5).await;
        assert!(
            matches!(earlier, Err(Error::Stale { current: 6, .. })),
            "{earlier:?}"
        );
        assert!(is_refused(&world, name, 5).await);
        assert!(!is_refused(&world, name, 6).await);
    }
    // Taken after it was deleted, by a process that remembers the old one.
    let other = Store::new(world.db.clone(), world.vault.clone());
    other.drop_stream(&world.name).await.unwrap();
    world.store.take(&world.name, 7).await.unwrap();
    assert!(is_refused(&world, &world.name, 6).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_stream_keeps_its_place_and_its_fence() {
    let world = World::new().await;
    let other = Store::new(world.db.clone(), world.vault.clone());
    world.store.take(&world.name, 5).await.unwrap();
    let saved = world
        .save_as(Writer::fenced(5), &[r#"{"id":1}"#, r#"{"id":2}"#])
        .await;
    other
        .batch_delete(&world.name, raws(&[r#"{"id":2}"#]), Writer::default())
        .await
        .unwrap();
    world.store.track_begin(&world.name, Some(5)).await.unwrap();
    // As if the clock had been an hour ahead.
    world
        .run_sql("UPDATE records.streams SET sequence = sequence + 3600000000")
        .await;
    let place = world.store.last(&world.name).await.unwrap();
    assert!(place > saved.cursor);
    let refused = world.store.empty(&world.name, Some(4)).await;
    assert!(matches!(refused, Err(Error::Stale { .. })), "{refused:?}");
    world.store.empty(&world.name, Some(6)).await.unwrap();
    assert_eq!(world.texts().await, ids(&[]));
    assert!(is_refused(&world, &world.name, 5).await);
    let counts = world.store.counts(&world.name).await.unwrap().unwrap();
    assert_eq!((counts.live, counts.deleted, counts.bytes), (0, 0, 0));
    assert_eq!(
        world.store.track_end(&world.name, Some(6)).await.unwrap(),
        0
    );
    // Everything is new, for the other process too, and comes after the old.
    let writer = Writer::fenced(6);
    let again = other.batch_save(&world.name, raws(&[r#"{"id":1}"#]), writer);
    assert_eq!(again.await.unwrap().added, ids(&["1"]));
    let query = Query {
        after: place,
        limit: 9,
        ..Query::default()
    };
    let page = world.store.list(&world.name, &query).await.unwrap();
    assert_eq!(page.records.len(), 1);
    assert_eq!(world.store.sweep(1_000).await.unwrap(), 2);
    assert_eq!(world.counts().await, (1, 0));
    // Without a fence the one that it has stays.
    world.store.empty(&world.name, None).await.unwrap();
    assert!(is_refused(&world, &world.name, 5).await);
    let nobody = StreamName::base(world.name.environment, 9, "Nothing");
    world.store.empty(&nobody, Some(2)).await.unwrap();
    assert!(is_refused(&world, &nobody, 1).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_replaced_does_not_make_a_deleted_stream_anew() {
    let world = World::new().await;
    let name = &world.name;
    let dropped = |error: Error| matches!(error, Error::Dropped { .. });
    let save = async |store: &Store, id: &str| {
        let batch = raws(&[&format!("{{\"id\":\"{id}\"}}")]);
        store.batch_save(name, batch, Writer::fenced(5)).await
    };
    let streams = "SELECT count(*) AS number FROM records.streams";
    assert!(dropped(
        save(&world.store, "never taken").await.unwrap_err()
    ));
    world.store.take(name, 5).await.unwrap();
    save(&world.store, "a").await.unwrap();
    // By another process, of which this one knows nothing.
    let other = Store::new(world.db.clone(), world.vault.clone());
    other.drop_stream(name).await.unwrap();
    assert!(dropped(save(&world.store, "b").await.unwrap_err()));
    let tracked = world.store.track_begin(name, Some(5)).await;
    assert!(dropped(tracked.unwrap_err()));
    assert_eq!(world.store.track_end(name, Some(5)).await.unwrap(), 0);
    assert_eq!(world.number(streams).await, 0);
    // One that is not a run's makes it.
    world.save(&[r#"{"id":"c"}"#]).await;
    assert_eq!(world.texts().await, [r#"{"id":"c"}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_run_has_taken_is_dropped_unless_a_later_one_has_it() {
    let world = World::new().await;
    let there = async || world.store.counts(&world.name).await.unwrap().is_some();
    world.store.take(&world.name, 6).await.unwrap();
    world.store.drop_taken(&world.name, 5).await.unwrap();
    assert!(there().await);
    world.store.drop_taken(&world.name, 6).await.unwrap();
    assert!(!there().await);
}
