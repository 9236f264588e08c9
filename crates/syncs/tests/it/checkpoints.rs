//! Checkpoints: optimistic, and only for the run that holds the sync.

use linkspan_syncs::checkpoint::{self, Holder, Key};
use linkspan_syncs::{Error, Natives, RunContext, Running};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::world::World;

fn nothing(_: &RunContext) -> Running<'_> {
    Box::pin(async { Ok(()) })
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(value) => value,
        other => panic!("{other}"),
    }
}

/// A world whose sync has run, with that run's fence.
async fn ran() -> (World, Holder, i64) {
    let world = World::new(Natives::new().with("items", nothing)).await;
    world.record(|_| ()).await;
    let status = world
        .until("it ran", |status| status.execution.is_some())
        .await;
    world
        .until_number("SELECT count(*) FROM jobs.jobs WHERE kind = 'syncs.run'", 0)
        .await;
    let fence = world.number("SELECT run_fence FROM syncs").await;
    let connection = world.number("SELECT connection FROM syncs").await;
    let holder = Holder {
        sync: status.id,
        fence,
    };
    (world, holder, connection)
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_that_read_the_same_one_saves() {
    let (world, holder, connection) = ran().await;
    let key = Key {
        environment: world.environment,
        connection,
        key: "sync:items:base",
    };
    let db = &world.app.core.db;
    let save = async |number: u64, read| {
        let mut conn = db.conn().await.unwrap();
        let value = object(json!({ "number": number }));
        checkpoint::save(&mut conn, key, holder, &value, read).await
    };
    // Eight make the first one at once.
    let saves = (0..8).map(|number| save(number, None));
    let saved = futures_util::future::join_all(saves).await;
    let versions: Vec<i64> = saved
        .iter()
        .filter_map(|one| one.as_ref().ok())
        .copied()
        .collect();
    assert_eq!(versions.len(), 1, "{saved:?}");
    let moved = |one: &&Result<i64, Error>| matches!(one, Err(Error::CheckpointMoved));
    assert_eq!(saved.iter().filter(moved).count(), 7);

    // Eight write over it.
    let saves = (0..8).map(|number| save(number, Some(versions[0])));
    let saved = futures_util::future::join_all(saves).await;
    assert_eq!(saved.iter().filter(|one| one.is_ok()).count(), 1);
    assert_eq!(saved.iter().filter(moved).count(), 7);

    // Deleted and made anew it is another one, whatever somebody read before.
    let mut conn = db.conn().await.unwrap();
    let now = checkpoint::get(&mut conn, key).await.unwrap().unwrap();
    checkpoint::clear(&mut conn, key, holder, now.version)
        .await
        .unwrap();
    assert_eq!(checkpoint::get(&mut conn, key).await.unwrap(), None);
    let anew = save(9, None).await.unwrap();
    assert!(![versions[0], now.version].contains(&anew));
    let late = save(10, Some(now.version)).await;
    assert!(matches!(late, Err(Error::CheckpointMoved)));
    drop(conn);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_run_that_holds_the_sync_writes() {
    let (world, holder, connection) = ran().await;
    let key = Key {
        environment: world.environment,
        connection,
        key: "sync:items:base",
    };
    let mut conn = world.app.core.db.conn().await.unwrap();
    let value = object(json!({ "number": 1 }));
    for other in [
        Holder {
            fence: holder.fence - 1,
            ..holder
        },
        Holder {
            sync: Uuid::now_v7(),
            ..holder
        },
    ] {
        let refused = checkpoint::save(&mut conn, key, other, &value, None).await;
        assert!(matches!(refused, Err(Error::Stale)), "{refused:?}");
    }
    let version = checkpoint::save(&mut conn, key, holder, &value, None)
        .await
        .unwrap();
    let late = Holder {
        fence: holder.fence - 1,
        ..holder
    };
    let refused = checkpoint::clear(&mut conn, key, late, version).await;
    assert!(matches!(refused, Err(Error::Stale)), "{refused:?}");
    for wrong in [
        json!({ "a": null }),
        json!({ "a": [1] }),
        json!({ "a": { "b": 1 } }),
        json!({ "a": "\0" }),
        json!({ "a": "x".repeat(70_000) }),
    ] {
        let refused = checkpoint::save(&mut conn, key, holder, &object(wrong), Some(version)).await;
        assert!(
            matches!(refused, Err(Error::InvalidCheckpoint(_))),
            "{refused:?}"
        );
    }
    drop(conn);
    world.end().await;
}
