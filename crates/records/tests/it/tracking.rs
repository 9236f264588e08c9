//! Deletes that are found by what a sync did not see.

use linkspan_records::{Action, Error, Writer};

use crate::world::{World, ids};

async fn world(records: u32) -> World {
    let world = World::new().await;
    let texts: Vec<String> = (0..records)
        .map(|n| format!("{{\"id\":\"{n}\",\"n\":0}}"))
        .collect();
    for page in texts.chunks(1_000) {
        let page: Vec<&str> = page.iter().map(String::as_str).collect();
        world.save(&page).await;
    }
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_neither_saved_nor_found_unchanged_is_deleted() {
    let world = world(6).await;
    let name = &world.name;
    assert_eq!(
        world.store.track_end(name, None).await.unwrap(),
        0,
        "none is under way"
    );
    let tracking = world.store.track_begin(name, None).await.unwrap();
    assert!(!tracking.is_continued);
    let page = world
        .save(&[
            r#"{"id":"0","n":0}"#,
            r#"{"id":"1","n":1}"#,
            r#"{"id":"new"}"#,
        ])
        .await;
    assert_eq!(page.unchanged, ids(&["0"]));
    world.delete(&[r#"{"id":"2"}"#]).await;
    let update = vec![crate::world::raw(r#"{"id":"3","n":0}"#)];
    let update = world
        .store
        .batch_update(name, update, Writer::default())
        .await
        .unwrap();
    assert_eq!(update.unchanged, ids(&["3"]));
    assert_eq!(world.store.track_end(name, None).await.unwrap(), 2);
    let deleted: Vec<_> = world
        .all()
        .await
        .into_iter()
        .filter(|r| r.last_action == Action::Deleted)
        .collect();
    let mut gone: Vec<_> = deleted.iter().map(|record| record.id().unwrap()).collect();
    gone.sort();
    assert_eq!(gone, ids(&["2", "4", "5"]));
    assert_eq!(world.counts().await, (4, 3));
    assert_eq!(
        world.store.track_end(name, None).await.unwrap(),
        0,
        "it is over"
    );
    assert_eq!(
        world
            .number("SELECT count(*) AS number FROM records.seen")
            .await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_takes_over_goes_on_where_the_other_was_cut_off() {
    let world = world(4).await;
    let name = &world.name;
    world.store.track_begin(name, Some(1)).await.unwrap();
    world
        .save_as(
            Writer::fenced(1),
            &[r#"{"id":"0","n":0}"#, r#"{"id":"1","n":1}"#],
        )
        .await;
    let tracking = world.store.track_begin(name, Some(2)).await.unwrap();
    assert!(tracking.is_continued);
    world
        .save_as(Writer::fenced(2), &[r#"{"id":"2","n":0}"#])
        .await;
    let stale = world.store.track_end(name, Some(1)).await;
    assert!(matches!(stale, Err(Error::Stale { .. })), "{stale:?}");
    world.store.track_abandon(name, 1).await.unwrap();
    assert_eq!(world.store.track_end(name, Some(2)).await.unwrap(), 1);
    assert_eq!(world.all().await.last().unwrap().id().unwrap(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracking_that_begins_anew_forgets_what_was_seen() {
    let world = world(3).await;
    let name = &world.name;
    world.store.track_begin(name, None).await.unwrap();
    world.save(&[r#"{"id":"0","n":0}"#]).await;
    world.store.track_abandon(name, 0).await.unwrap();
    world.store.track_begin(name, None).await.unwrap();
    world.save(&[r#"{"id":"1","n":0}"#]).await;
    assert_eq!(world.store.track_end(name, None).await.unwrap(), 2);
    assert_eq!(world.counts().await, (1, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_changes_a_record_meanwhile_keeps_it() {
    let world = world(2).await;
    let name = &world.name;
    world.store.track_begin(name, Some(1)).await.unwrap();
    world
        .save_as(Writer::fenced(1), &[r#"{"id":"0","n":0}"#])
        .await;
    world.save(&[r#"{"id":"1","n":"by a webhook"}"#]).await;
    assert_eq!(world.store.track_end(name, Some(1)).await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_are_deleted_in_pieces() {
    let world = world(3_500).await;
    world.store.track_begin(&world.name, None).await.unwrap();
    world.save(&[r#"{"id":"17","n":0}"#]).await;
    world
        .run_sql(
            "CREATE TABLE searches (n int); CREATE FUNCTION note() RETURNS trigger \
             LANGUAGE plpgsql AS $$ BEGIN INSERT INTO searches VALUES (1); RETURN NULL; END $$; \
             CREATE TRIGGER note AFTER INSERT ON records.seen FOR EACH STATEMENT \
             EXECUTE FUNCTION note()",
        )
        .await;
    assert_eq!(
        world.store.track_end(&world.name, None).await.unwrap(),
        3_499
    );
    assert_eq!(world.counts().await, (1, 3_499));
    let transactions =
        "SELECT count(DISTINCT xmin::text) AS number FROM records.records WHERE deleted";
    assert_eq!(world.number(transactions).await, 4);
    // However many pieces there are, they are looked for once.
    let searches = "SELECT count(*) AS number FROM searches";
    assert_eq!(world.number(searches).await, 1);
    let left = "SELECT count(*) AS number FROM records.seen";
    assert_eq!(world.number(left).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_seen_after_an_end_was_cut_off_stays() {
    let world = world(2_500).await;
    let name = &world.name;
    world.store.track_begin(name, Some(1)).await.unwrap();
    // Another piece than the first fails.
    world
        .run_sql(
            "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF (SELECT count(*) FROM records.records WHERE deleted) >= 1000 \
             THEN RAISE EXCEPTION 'cut off'; END IF; RETURN NULL; END $$; \
             CREATE TRIGGER fail BEFORE INSERT ON records.records FOR EACH STATEMENT \
             EXECUTE FUNCTION fail()",
        )
        .await;
    let error = world.store.track_end(name, Some(1)).await.unwrap_err();
    assert!(error.to_string().contains("cut off"), "{error}");
    let (live, deleted) = world.counts().await;
    assert!((1_000..=1_500).contains(&deleted), "{deleted}");
    world.run_sql("DROP TRIGGER fail ON records.records").await;
    // The run that takes over sees five of those that were to be deleted.
    let all = world.all().await;
    let left = all.iter().filter(|r| r.last_action != Action::Deleted);
    let seen: Vec<&str> = left.take(5).map(|r| r.text.as_str()).collect();
    let tracking = world.store.track_begin(name, Some(2)).await.unwrap();
    assert!(tracking.is_continued);
    let outcome = world.save_as(Writer::fenced(2), &seen).await;
    assert_eq!(outcome.unchanged.len(), 5);
    let stale = world.store.track_end(name, Some(1)).await;
    assert!(matches!(stale, Err(Error::Stale { .. })), "{stale:?}");
    let rest = world.store.track_end(name, Some(2)).await.unwrap();
    assert_eq!(i64::try_from(rest).unwrap(), live - 5);
    assert_eq!(world.counts().await, (5, 2_495));
    let left = "SELECT count(*) AS number FROM records.seen";
    assert_eq!(world.number(left).await, 0);
}
