//! Deep merges, and what is not overwritten.

use linkspan_records::{Action, Cursor, Merging, Outcome, Writer};

use crate::world::{World, ids, raws};

async fn update(world: &World, texts: &[&str]) -> Outcome {
    let writer = Writer::default();
    world
        .store
        .batch_update(&world.name, raws(texts), writer)
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_lays_members_over_those_that_are_there() {
    let world = World::new().await;
    world
        .save(&[
            r#"{"id":1,"a":{"x":1.50,"y":[1]},"b":1}"#,
            r#"{"id":2}"#,
            r#"{"id":3,"n":1}"#,
        ])
        .await;
    world.delete(&[r#"{"id":2}"#]).await;
    let outcome = update(
        &world,
        &[
            r#"{"id":"1","a":{"y":[2]}}"#,
            r#"{"id":2,"n":1}"#,
            r#"{"id":3,"n":1}"#,
            r#"{"id":4}"#,
        ],
    )
    .await;
    assert_eq!(outcome.updated, ids(&["1"]));
    assert_eq!(outcome.unchanged, ids(&["3"]));
    assert_eq!(outcome.unknown, ids(&["2", "4"]));
    let found = world
        .store
        .get_by_ids(&world.name, ids(&["1"]))
        .await
        .unwrap();
    assert_eq!(found[0].text, r#"{"id":"1","a":{"x":1.50,"y":[2]},"b":1}"#);
    assert_eq!(found[0].last_action, Action::Updated);
    assert_eq!(world.counts().await, (2, 1));
    // What was merged is what a later save is compared with.
    let same = world
        .save(&[r#"{"b":1,"a":{"y":[2],"x":1.50},"id":"1"}"#])
        .await;
    assert_eq!(same.unchanged, ids(&["1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pruned_record_cannot_be_merged_into() {
    let world = World::new().await;
    let saved = world.save(&[r#"{"id":1,"a":1}"#]).await;
    world
        .store
        .prune(&world.name, saved.cursor, 10)
        .await
        .unwrap();
    let outcome = update(&world, &[r#"{"id":1,"b":2}"#]).await;
    assert_eq!(outcome.unknown, ids(&["1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_changed_after_a_place_is_left_alone() {
    let world = World::new().await;
    world
        .save(&[r#"{"id":1,"by":"old"}"#, r#"{"id":2,"by":"old"}"#])
        .await;
    let place = world.store.last(&world.name).await.unwrap();
    let sync = |merging| Writer {
        fence: None,
        merging,
    };
    // A webhook comes between.
    world.save(&[r#"{"id":1,"by":"webhook"}"#]).await;
    let merging = Merging::IgnoreIfModifiedAfter(place);
    let outcome = world
        .save_as(
            sync(merging),
            &[r#"{"id":1,"by":"sync"}"#, r#"{"id":2,"by":"sync"}"#],
        )
        .await;
    assert_eq!(outcome.ignored, ids(&["1"]));
    assert_eq!(outcome.updated, ids(&["2"]));
    // The webhook's change stays protected from the next page too.
    let next = world
        .save_as(sync(outcome.next_merging), &[r#"{"id":1,"by":"sync"}"#])
        .await;
    assert_eq!(next.ignored, ids(&["1"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_is_alone_overwrites_what_it_wrote_itself() {
    let world = World::new().await;
    let place = world.store.last(&world.name).await.unwrap();
    assert_eq!(place, Cursor::START);
    let mut merging = Merging::IgnoreIfModifiedAfter(place);
    for n in 0..3 {
        let writer = Writer {
            fence: None,
            merging,
        };
        let outcome = world
            .save_as(writer, &[&format!("{{\"id\":1,\"n\":{n}}}")])
            .await;
        assert_eq!(outcome.ignored, ids(&[]));
        merging = outcome.next_merging;
    }
    assert_eq!(world.texts().await, [r#"{"id":1,"n":2}"#]);
}
