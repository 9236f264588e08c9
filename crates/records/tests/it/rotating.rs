//! Data keys that change while records are saved and read.

use linkspan_records::{Cursor, Query};

use crate::world::{World, ids};

#[tokio::test(flavor = "multi_thread")]
async fn records_are_sealed_anew_and_cursors_and_hashes_stay() {
    let world = World::new().await;
    let texts: Vec<String> = (0..250)
        .map(|n| format!("{{\"id\":{n},\"n\":1}}"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    world.save(&texts).await;
    let before = world.all().await;
    let cursor = before[99].cursor.encode();
    let old = "SELECT (SELECT count(*) FROM records.records WHERE substring(payload FROM 2 FOR 4) < '\\x00000002') \
               + (SELECT count(*) FROM records.streams WHERE substring(secret FROM 2 FOR 4) < '\\x00000002') AS number";
    assert_eq!(world.number(old).await, 251);
    let report = world.vault.rotate_data(|_| ()).await.unwrap();
    assert_eq!(report.unreadable, 0);
    assert!(report.resealed >= 251, "{report:?}");
    assert_eq!(world.number(old).await, 0);
    assert_eq!(world.all().await, before);
    let after = Cursor::decode(&cursor).unwrap();
    let rest = world
        .all_with(Query {
            after,
            ..Query::default()
        })
        .await;
    assert_eq!(rest, before[100..]);
    // Another process reads the key of the hashes anew.
    let other = linkspan_records::Store::new(world.db.clone(), world.vault.clone());
    let same = crate::world::raws(&texts);
    let same = other
        .batch_save(&world.name, same, Default::default())
        .await
        .unwrap();
    assert_eq!(same.unchanged.len(), 250);
    assert_eq!(
        world.save(&[r#"{"id":0,"n":2}"#]).await.updated,
        ids(&["0"])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_older_keys_reads_what_newer_ones_sealed() {
    let world = World::new().await;
    world.save(&[r#"{"id":1,"n":1}"#]).await;
    // It holds its keys for longer than the rotation takes.
    let key_holder = world.slow_process().await;
    let update = [r#"{"id":1,"m":2}"#];
    assert_eq!(
        key_holder
            .list(
                &world.name,
                &Query {
                    limit: 9,
                    ..Query::default()
                }
            )
            .await
            .unwrap()
            .records
            .len(),
        1
    );
    world.vault.rotate_data(|_| ()).await.unwrap();
    let page = key_holder
        .list(
            &world.name,
            &Query {
                limit: 9,
                ..Query::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(page.records[0].text, r#"{"id":1,"n":1}"#);
    let outcome = key_holder
        .batch_update(&world.name, crate::world::raws(&update), Default::default())
        .await
        .unwrap();
    assert_eq!(outcome.updated, ids(&["1"]));
    let until = key_holder.last(&world.name).await.unwrap();
    assert_eq!(
        key_holder.prune(&world.name, until, 5).await.unwrap().count,
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_sealed_anew_many_at_a_time() {
    let world = World::new().await;
    let texts: Vec<String> = (0..1_200).map(|n| format!("{{\"id\":{n}}}")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    world.save(&texts).await;
    // 6 MB each: two of them, and the one that goes beyond, are a page.
    let large: Vec<String> = (0..5)
        .map(|n| format!("{{\"id\":\"z{n}\",\"x\":{}}}", noise(n, 6_000_000)))
        .collect();
    for text in &large {
        world.save(&[text]).await;
    }
    world
        .run_sql(
            "CREATE TABLE statements (n int); CREATE FUNCTION note() RETURNS trigger \
             LANGUAGE plpgsql AS $$ BEGIN INSERT INTO statements VALUES (1); RETURN NULL; END $$; \
             CREATE TRIGGER note AFTER UPDATE ON records.records FOR EACH STATEMENT \
             EXECUTE FUNCTION note()",
        )
        .await;
    let before = world.all().await;
    let report = world.vault.rotate_data(|_| ()).await.unwrap();
    assert_eq!((report.unreadable, report.overtaken), (0, 0));
    let statements = "SELECT count(*) AS number FROM statements";
    let statements = world.number(statements).await;
    assert!((3..=6).contains(&statements), "{statements}");
    assert_eq!(world.all().await, before);
}

/// A JSON string that does not compress.
fn noise(seed: u64, length: u64) -> String {
    let mixed = |n: u64| {
        n.wrapping_add(seed * length + 1)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
    };
    let letter = |n| char::from(b'a' + (mixed(mixed(n)) >> 40) as u8 % 26);
    let letters: String = (0..length).map(letter).collect();
    format!("\"{letters}\"")
}
