//! Batches: what is added, updated, deleted and left as it is.

use linkspan_records::{Action, Cursor, Error, MOST_BYTES, Store, StreamName, Writer};

use crate::world::{World, ids, raw, raws};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_tells_what_became_of_each_record() {
    let world = World::new().await;
    let first = world
        .save(&[r#"{"id":"a","n":1}"#, r#"{"id":2,"n":1}"#])
        .await;
    assert_eq!(first.added, ids(&["a", "2"]));
    let second = world
        .save(&[
            r#"{"id":"new"}"#,
            r#"{"n":1,"id":"a"}"#,
            r#"{"id":"2","n":2}"#,
        ])
        .await;
    assert_eq!(second.added, ids(&["new"]));
    assert_eq!(second.unchanged, ids(&["a"]));
    assert_eq!(second.updated, ids(&["2"]));
    assert!(second.cursor > first.cursor);
    let actions: Vec<_> = world
        .all()
        .await
        .iter()
        .map(|r| (r.id().unwrap(), r.last_action))
        .collect();
    assert_eq!(
        actions,
        [
            ("a".to_owned(), Action::Added),
            ("new".to_owned(), Action::Added),
            ("2".to_owned(), Action::Updated),
        ]
    );
    assert_eq!(world.counts().await, (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn unchanged_records_are_not_written() {
    let world = World::new().await;
    let texts: Vec<String> = (0..300)
        .map(|n| format!("{{\"id\":{n},\"x\":[1, 2]}}"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let first = world.save(&texts).await;
    let versions = "SELECT (max(xmin::text::bigint) * 1000 + count(DISTINCT xmin::text) \
                    + max(xmax::text::bigint))::bigint AS number FROM records.records";
    let streams = "SELECT (xmin::text)::bigint AS number FROM records.streams";
    let before = (world.number(versions).await, world.number(streams).await);
    let again: Vec<String> = (0..300)
        .map(|n| format!("{{ \"x\":[1,2],\"id\":{n} }}"))
        .collect();
    let again: Vec<&str> = again.iter().map(String::as_str).collect();
    let second = world.save(&again).await;
    assert_eq!((second.unchanged.len(), second.cursor), (300, first.cursor));
    assert_eq!(
        (world.number(versions).await, world.number(streams).await),
        before
    );
    assert_eq!(world.texts().await, texts, "as it was first written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_saved_comes_back_to_the_letter() {
    let world = World::new().await;
    let deep = format!(
        "{{\"id\":\"deep\",\"x\":{}{}}}",
        "[".repeat(400),
        "]".repeat(400)
    );
    let long = format!("{{\"id\":\"{}\"}}", "ü".repeat(10_000));
    let texts = [
        r#"{ "id" : "spaced" , "a" : [ 1 , 2 ] }"#,
        r#"{"id":"numbers","a":1.10,"b":1e400,"c":123456789012345678901234567890,"d":-0.0}"#,
        r#"{"id":"nul\u0000in\u0000it","text":"\u0000","lone":"\ud800"}"#,
        r#"{"id":"zażółć 😀 \ud83d\ude00","é":{"":null}}"#,
        r#"{"id":"twice","a":1,"a":2}"#,
        r#"{"id":-17}"#,
        r#"{"id":0.25,"x":true}"#,
        r#"{"id":"'; DROP TABLE records.records; --"}"#,
        &deep,
        &long,
    ];
    let outcome = world.save(&texts).await;
    assert_eq!(outcome.added.len(), texts.len());
    assert_eq!(world.texts().await, texts);
    assert_eq!(world.save(&texts).await.unchanged.len(), texts.len());
    for id in [
        "nul\0in\0it",
        "zażółć 😀 😀",
        "-17",
        "0.25",
        &"ü".repeat(10_000),
    ] {
        let found = world
            .store
            .get_by_ids(&world.name, ids(&[id]))
            .await
            .unwrap();
        assert_eq!(found.len(), 1, "{id:?}");
        assert_eq!(found[0].id().as_deref(), Some(id));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_five_megabytes_are_saved_and_larger_pages_are_cut() {
    let world = World::new().await;
    let noise: String = (0..5_000_000_u64)
        .map(|n| char::from(b'a' + (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 59) as u8 % 26))
        .collect();
    let texts: Vec<String> = (0..6)
        .map(|n| format!("{{\"id\":{n},\"text\":\"{noise}\"}}"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    world.save(&texts).await;
    assert_eq!(world.texts().await, texts);
    let too_large = format!("{{\"id\":1,\"x\":\"{}\"}}", "x".repeat(MOST_BYTES));
    let refused = world
        .store
        .batch_save(&world.name, vec![raw(&too_large)], Writer::default())
        .await;
    assert!(
        matches!(refused, Err(Error::TooLarge { index: 0, .. })),
        "{refused:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_of_one_id_wins_and_the_others_are_told() {
    let world = World::new().await;
    let outcome = world
        .save(&[
            r#"{"id":1,"n":1}"#,
            r#"{"id":"1","n":2}"#,
            r#"{"id":2}"#,
            r#"{"id":1.0,"n":3}"#,
        ])
        .await;
    assert_eq!(outcome.added, ids(&["1", "2"]));
    assert_eq!(outcome.duplicates, ids(&["1", "1"]));
    assert_eq!(world.texts().await, [r#"{"id":1,"n":1}"#, r#"{"id":2}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_record_refuses_its_batch() {
    let world = World::new().await;
    let deep = format!(
        "{{\"id\":1,\"x\":{}{}}}",
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    for (wrong, told) in [
        ("{}", "record 1 of the batch has no usable id"),
        (r#"{"id":null}"#, "record 1 of the batch has no usable id"),
        (r#"{"id":""}"#, "record 1 of the batch has no usable id"),
        ("[1]", "record 1 of the batch is not an object"),
        ("7", "record 1 of the batch is not an object"),
        (&deep, "more than 500 deep"),
    ] {
        let batch = raws(&[r#"{"id":"fine"}"#, wrong]);
        let error = world
            .store
            .batch_save(&world.name, batch, Writer::default())
            .await
            .unwrap_err();
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(error.code().as_str(), "invalid_body");
    }
    assert_eq!(world.texts().await, Vec::<String>::new());
    for model in ["", "a\0b", &"x".repeat(256)] {
        let name = StreamName::base(world.name.environment, 1, model);
        let error = world
            .store
            .batch_save(&name, raws(&[r#"{"id":1}"#]), Writer::default())
            .await;
        assert!(matches!(error, Err(Error::InvalidName)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_records_stay_readable_and_come_back_as_added() {
    let world = World::new().await;
    world
        .save(&[r#"{"id":1,"n":1}"#, r#"{"id":2,"n":1}"#])
        .await;
    let before = world.all().await;
    let outcome = world.delete(&[r#"{"id":1}"#, r#"{"id":"nobody"}"#]).await;
    assert_eq!(
        (outcome.deleted, outcome.unknown),
        (ids(&["1"]), ids(&["nobody"]))
    );
    let all = world.all().await;
    let gone = &all[1];
    assert_eq!(
        (gone.text.as_str(), gone.last_action),
        (r#"{"id":1,"n":1}"#, Action::Deleted)
    );
    assert_eq!(gone.deleted_at(), Some(gone.cursor.time()));
    assert_eq!(gone.first_seen_at, before[0].first_seen_at);
    assert_eq!(world.counts().await, (1, 1));
    let again = world.delete(&[r#"{"id":1}"#]).await;
    assert_eq!((again.deleted, again.unknown), (ids(&[]), ids(&["1"])));
    assert_eq!(world.all().await, all, "nothing was written");
    // The same content all the same comes back.
    let back = world.save(&[r#"{"id":1,"n":1}"#]).await;
    assert_eq!(back.added, ids(&["1"]));
    let last = world.all().await.pop().unwrap();
    assert_eq!((last.last_action, last.deleted_at()), (Action::Added, None));
    assert_eq!(last.first_seen_at, last.cursor.time());
    assert_eq!(world.counts().await, (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn places_rise_with_every_record_also_when_the_clock_stands_still() {
    let world = World::new().await;
    world.save(&[r#"{"id":1}"#]).await;
    // As if the clock had been an hour ahead when it was saved.
    world
        .run_sql("UPDATE records.streams SET sequence = sequence + 3600000000")
        .await;
    let mut before = world.store.last(&world.name).await.unwrap();
    for n in 0..3 {
        let outcome = world
            .save(&[
                &format!("{{\"id\":1,\"n\":{n}}}"),
                &format!("{{\"id\":2,\"n\":{n}}}"),
            ])
            .await;
        assert!(outcome.cursor > before);
        before = outcome.cursor;
        let all = world.all().await;
        let places: Vec<Cursor> = all.iter().map(|record| record.cursor).collect();
        assert!(places.is_sorted_by(|a, b| a < b), "{places:?}");
        assert_eq!(places.last(), Some(&before));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_was_replaced_is_refused() {
    let world = World::new().await;
    world.store.take(&world.name, 5).await.unwrap();
    world.save_as(Writer::fenced(5), &[r#"{"id":1}"#]).await;
    world.save_as(Writer::fenced(5), &[r#"{"id":1}"#]).await;
    // A later run that finds nothing new has come all the same.
    world.save_as(Writer::fenced(6), &[r#"{"id":1}"#]).await;
    for text in [r#"{"id":1}"#, r#"{"id":1,"n":2}"#] {
        let stale = world
            .store
            .batch_save(&world.name, raws(&[text]), Writer::fenced(5))
            .await;
        assert!(
            matches!(
                stale,
                Err(Error::Stale {
                    fence: 5,
                    current: 6,
                    ..
                })
            ),
            "{stale:?}"
        );
        let stale = world
            .store
            .batch_delete(&world.name, raws(&[text]), Writer::fenced(5))
            .await;
        assert!(matches!(stale, Err(Error::Stale { .. })), "{stale:?}");
    }
    world.save(&[r#"{"id":2}"#]).await;
    assert_eq!(world.texts().await, [r#"{"id":1}"#, r#"{"id":2}"#]);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_know_nothing_of_one_another() {
    let world = World::new().await;
    let variant = StreamName {
        variant: "eu".to_owned(),
        ..world.name.clone()
    };
    let other = StreamName {
        connection: 8,
        ..world.name.clone()
    };
    for name in [&world.name, &variant, &other] {
        let saved = world
            .store
            .batch_save(name, raws(&[r#"{"id":1}"#]), Writer::default())
            .await;
        assert_eq!(saved.unwrap().added, ids(&["1"]));
    }
    assert_eq!(world.texts().await.len(), 1);
    // Not even their hashes are the same.
    let keys =
        "SELECT count(DISTINCT key) + 10 * count(DISTINCT hash) AS number FROM records.records";
    assert_eq!(world.number(keys).await, 33);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_saved_is_readable_in_the_tables() {
    let world = World::new().await;
    world
        .save(&[r#"{"id":"ada@example.com","secret":"plain-to-see"}"#])
        .await;
    let found = world
        .number(
            "SELECT count(*) AS number FROM records.records r WHERE \
             r::text LIKE '%example%' OR position('plain-to-see'::bytea IN payload) > 0",
        )
        .await;
    assert_eq!(found, 0);
    // A payload that is moved to another row does not open.
    world.save(&[r#"{"id":"other"}"#]).await;
    world
        .run_sql(
            "UPDATE records.records SET payload = (SELECT payload FROM records.records LIMIT 1)",
        )
        .await;
    let query = linkspan_records::Query {
        limit: 10,
        ..Default::default()
    };
    let error = world.store.list(&world.name, &query).await.unwrap_err();
    assert!(error.to_string().contains("belongs elsewhere"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_process_finds_the_same_records() {
    let world = World::new().await;
    world.save(&[r#"{"id":1,"n":1}"#]).await;
    let other = Store::new(world.db.clone(), world.vault.clone());
    let outcome = other
        .batch_save(&world.name, raws(&[r#"{"n":1,"id":1}"#]), Writer::default())
        .await;
    assert_eq!(outcome.unwrap().unchanged, ids(&["1"]));
}
