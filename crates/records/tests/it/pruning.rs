//! Payloads that are emptied.

use chrono::{TimeDelta, Utc};
use linkspan_records::{Pruned, StreamName, Writer};

use crate::world::{World, ids, raws};

#[tokio::test(flavor = "multi_thread")]
async fn ids_and_times_stay_and_a_change_brings_the_payload_back() {
    let world = World::new().await;
    world
        .save(&[r#"{"id": 1,"n":1}"#, r#"{"n":1,"id":"b"}"#])
        .await;
    let until = world.store.last(&world.name).await.unwrap();
    world.save(&[r#"{"id":"later","n":1}"#]).await;
    let before = world.all().await;
    let pruned = world.store.prune(&world.name, until, 10).await.unwrap();
    assert_eq!(
        pruned,
        Pruned {
            count: 2,
            has_more: false
        }
    );
    let all = world.all().await;
    let texts: Vec<_> = all.iter().map(|record| record.text.as_str()).collect();
    assert_eq!(
        texts,
        [r#"{"id":1}"#, r#"{"id":"b"}"#, r#"{"id":"later","n":1}"#]
    );
    assert!(all[0].pruned_at.is_some() && all[2].pruned_at.is_none());
    let times = |records: &[linkspan_records::Record]| -> Vec<_> {
        records
            .iter()
            .map(|r| (r.cursor, r.first_seen_at, r.last_action))
            .collect()
    };
    assert_eq!(times(&all), times(&before));
    world.counts().await;
    // As long as nothing changes it stays pruned.
    assert_eq!(
        world.save(&[r#"{"id":1,"n":1}"#]).await.unchanged,
        ids(&["1"])
    );
    let same = world.all().await;
    assert_eq!(same[0].text, r#"{"id":1}"#);
    assert_eq!(same[0].pruned_at, all[0].pruned_at);
    assert_eq!(
        world.save(&[r#"{"id":1,"n":2}"#]).await.updated,
        ids(&["1"])
    );
    let back = world.all().await.pop().unwrap();
    assert_eq!(
        (back.text.as_str(), back.pruned_at),
        (r#"{"id":1,"n":2}"#, None)
    );
    world.counts().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_leaves_the_rest_for_the_next_call() {
    let world = World::new().await;
    let texts: Vec<String> = (0..1_200)
        .map(|n| format!("{{\"id\":{n},\"n\":1}}"))
        .collect();
    world
        .save(&texts.iter().map(String::as_str).collect::<Vec<_>>())
        .await;
    let until = world.store.last(&world.name).await.unwrap();
    let prune = async |limit| world.store.prune(&world.name, until, limit).await.unwrap();
    assert_eq!(
        prune(7).await,
        Pruned {
            count: 7,
            has_more: true
        }
    );
    assert_eq!(
        prune(1_100).await,
        Pruned {
            count: 1_100,
            has_more: true
        }
    );
    assert_eq!(
        prune(93).await,
        Pruned {
            count: 93,
            has_more: false
        }
    );
    assert_eq!(
        prune(10).await,
        Pruned {
            count: 0,
            has_more: false
        }
    );
    let nobody = StreamName::base(world.name.environment, 1, "Nothing");
    assert_eq!(
        world.store.prune(&nobody, until, 10).await.unwrap(),
        Pruned::default()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_for_long_is_due() {
    let world = World::new().await;
    world
        .save(&[r#"{"id":1,"n":1}"#, r#"{"id":2,"n":1}"#])
        .await;
    let other = StreamName::base(world.name.environment, 9, "Other");
    world
        .store
        .batch_save(&other, raws(&[r#"{"id":3,"n":1}"#]), Writer::default())
        .await
        .unwrap();
    let yesterday = Utc::now() - TimeDelta::days(1);
    assert_eq!(
        world.store.prune_due(yesterday, 100).await.unwrap(),
        Pruned::default()
    );
    let tomorrow = Utc::now() + TimeDelta::days(1);
    let first = world.store.prune_due(tomorrow, 2).await.unwrap();
    assert_eq!(
        first,
        Pruned {
            count: 2,
            has_more: true
        }
    );
    let second = world.store.prune_due(tomorrow, 2).await.unwrap();
    assert_eq!(
        second,
        Pruned {
            count: 1,
            has_more: false
        }
    );
    assert_eq!(
        world.store.prune_due(tomorrow, 2).await.unwrap(),
        Pruned::default()
    );
}
