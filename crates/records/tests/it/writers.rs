//! Several writers at once.

use linkspan_records::{Store, Writer};
use tokio::task::JoinSet;

use crate::world::{World, raw};

#[tokio::test(flavor = "multi_thread")]
async fn writers_of_one_stream_lose_nothing_and_count_right() {
    const WRITERS: u32 = 6;
    const BATCHES: u32 = 12;
    let world = World::new().await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let store = Store::new(world.db.clone(), world.vault.clone());
        let name = world.name.clone();
        writers.spawn(async move {
            for batch in 0..BATCHES {
                // Half of the records are everybody's, half its own.
                let records = (0..20)
                    .map(|n| match n % 2 {
                        0 => raw(&format!(
                            "{{\"id\":\"all-{n}\",\"w\":{writer},\"b\":{batch}}}"
                        )),
                        _ => raw(&format!("{{\"id\":\"{writer}-{batch}-{n}\"}}")),
                    })
                    .collect();
                store
                    .batch_save(&name, records, Writer::default())
                    .await
                    .unwrap();
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.unwrap();
    }
    assert_eq!(
        world.counts().await,
        (i64::from(WRITERS * BATCHES * 10 + 10), 0)
    );
    let places: Vec<_> = world
        .all()
        .await
        .iter()
        .map(|record| record.cursor)
        .collect();
    assert!(places.is_sorted_by(|a, b| a < b));
    assert_eq!(places.len(), (WRITERS * BATCHES * 10 + 10) as usize);
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_one_record_at_once_are_all_merged() {
    let world = World::new().await;
    world.save(&[r#"{"id":1}"#]).await;
    let mut writers = JoinSet::new();
    for writer in 0..8 {
        let (store, name) = (world.store.clone(), world.name.clone());
        writers.spawn(async move {
            let record = raw(&format!("{{\"id\":1,\"w{writer}\":true}}"));
            store
                .batch_update(&name, vec![record], Writer::default())
                .await
                .unwrap()
        });
    }
    while let Some(done) = writers.join_next().await {
        assert_eq!(done.unwrap().updated.len(), 1);
    }
    let text = world.texts().await.pop().unwrap();
    for writer in 0..8 {
        assert!(text.contains(&format!("\"w{writer}\":true")), "{text}");
    }
    world.counts().await;
}
