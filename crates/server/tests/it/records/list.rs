//! `GET /records` and `PATCH /records/prune` (CONTRACT 2.10).

use http::Method;
use serde_json::{Value, json};

use super::World;

async fn world() -> World {
    let world = World::new().await;
    world
        .save(&[
            r#"{ "id": "a", "n": 1.10 }"#,
            r#"{"id":"b"}"#,
            r#"{"id":"c"}"#,
        ])
        .await;
    world.save(&[r#"{"id":"b","n":2}"#]).await;
    world.delete("c").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn records_come_as_they_were_saved_with_their_metadata() {
    let world = world().await;
    let reply = world.get("").await;
    let text = std::str::from_utf8(&reply.body).unwrap();
    assert!(
        text.starts_with(r#"{"records":[{ "id": "a", "n": 1.10 ,"_nango_metadata":{"#),
        "{text}"
    );
    assert_eq!(reply.header("content-type"), Some("application/json"));
    let page = reply.json();
    assert_eq!(page["next_cursor"], Value::Null);
    let told: Vec<_> = page["records"]
        .as_array()
        .unwrap()
        .iter()
        .map(|record| {
            let metadata = &record["_nango_metadata"];
            let is_deleted = metadata["deleted_at"] == metadata["last_modified_at"];
            assert!(is_deleted || metadata["deleted_at"].is_null());
            assert!(metadata["pruned_at"].is_null());
            (record["id"].clone(), metadata["last_action"].clone())
        })
        .collect();
    let expected = [("a", "ADDED"), ("b", "UPDATED"), ("c", "DELETED")];
    assert_eq!(
        told,
        expected.map(|(id, action)| (json!(id), json!(action)))
    );
    let first = &page["records"][0]["_nango_metadata"];
    assert_eq!(first["first_seen_at"], first["last_modified_at"]);
    // With microseconds, which tell records apart.
    assert_eq!(
        first["last_modified_at"].as_str().unwrap().len(),
        "2026-11-23T12:00:00.123456Z".len()
    );
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_by_their_cursor_or_time() {
    let world = world().await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = world.get(&format!("&limit=1{cursor}")).await.json();
        let record = &page["records"][0];
        seen.push(record["id"].clone());
        let metadata = &record["_nango_metadata"];
        let time = metadata["last_modified_at"].as_str().unwrap();
        let by_time = world.ids(&format!("&modified_after={time}")).await;
        let by_cursor = world
            .ids(&format!("&cursor={}", metadata["cursor"].as_str().unwrap()))
            .await;
        assert_eq!(by_time, by_cursor);
        assert_eq!(by_time, world.ids(&format!("&delta={time}")).await);
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [json!("a"), json!("b"), json!("c")]);
    assert_eq!(world.ids("&modified_after=2026-01-01").await.len(), 3);
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_ids_choose() {
    let world = world().await;
    for (query, expected) in [
        ("&filter=added", json!(["a"])),
        ("&filter=UPDATED,deleted", json!(["b", "c"])),
        ("&filter=added,deleted", json!(["a", "c"])),
        ("&filter=Deleted", json!(["c"])),
        ("&ids=a&ids=c", json!(["a", "c"])),
        ("&ids[]=b", json!(["b"])),
        ("&variant=other", json!([])),
        ("&variant=base", json!(["a", "b", "c"])),
    ] {
        assert_eq!(json!(world.ids(query).await), expected, "{query}");
    }
    let other = world
        .call(Method::GET, "/records/?model=Other", Value::Null)
        .await;
    assert_eq!(other.json(), json!({ "records": [], "next_cursor": null }));
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_may_have_any_character() {
    let world = world().await;
    world
        .save(&[r#"{"id":"\u0000"}"#, r#"{"id":"a\u0000b"}"#])
        .await;
    for (query, expected) in [
        ("&ids=%00", json!(["\0"])),
        ("&ids[]=a%00b&ids=a", json!(["a", "a\0b"])),
        ("&ids=b%00a", json!([])),
    ] {
        assert_eq!(json!(world.ids(query).await), expected, "{query}");
    }
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mistakes_are_told() {
    let world = world().await;
    let many: String = (0..101).map(|n| format!("&ids={n}")).collect();
    for (query, field) in [
        ("&cursor=nonsense", "cursor"),
        ("&cursor=MjAyNi0xMS0yM3x8YQ==", "cursor"),
        ("&limit=0", "limit"),
        ("&limit=10001", "limit"),
        ("&filter=gone", "filter"),
        ("&filter=", "filter"),
        ("&ids=%00&variant=%00", "variant"),
        ("&modified_after=yesterday", "modified_after"),
        ("&delta=yesterday", "delta"),
        ("&more=1", "more"),
        (&many, "ids"),
    ] {
        let reply = world.get(query).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, "invalid_query_params".to_owned()),
            "{query}"
        );
        assert_eq!(reply.json()["error"]["errors"][0]["path"], json!([field]));
    }
    let no_model = world.call(Method::GET, "/records", Value::Null).await;
    assert_eq!(no_model.code(), "invalid_query_params");
    let no_headers = world.app.get("/records?model=Contact").await;
    assert_eq!(
        (no_headers.status.as_u16(), no_headers.code()),
        (400, "invalid_headers".to_owned())
    );
    let key = &world.app.dev.api_key;
    for (integration, connection, status, code) in [
        ("demo", "nobody", 400, "unknown_connection"),
        ("nothing", "nobody", 400, "unknown_provider_config"),
    ] {
        let named = [
            ("Provider-Config-Key", integration),
            ("Connection-Id", connection),
        ];
        let path = "/records?model=Contact";
        let reply = world
            .app
            .call_as(key, Method::GET, path, &named, Value::Null)
            .await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (status, code.to_owned())
        );
    }
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_environment_sees_nothing() {
    let world = world().await;
    let named = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", world.connection.as_str()),
    ];
    let key = &world.app.prod.api_key;
    for path in ["/records?model=Contact", "/records/stream?model=Contact"] {
        let reply = world
            .app
            .call_as(key, Method::GET, path, &named, Value::Null)
            .await;
        assert_eq!(reply.code(), "unknown_provider_config");
    }
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_read_can_be_pruned() {
    let world = world().await;
    let page = world.get("").await.json();
    let until = &page["records"][1]["_nango_metadata"]["cursor"];
    let prune = async |body| world.call(Method::PATCH, "/records/prune", body).await;
    let body = json!({ "model": "Contact", "until_cursor": until, "limit": 1 });
    assert_eq!(
        prune(body.clone()).await.json(),
        json!({ "count": 1, "has_more": true })
    );
    assert_eq!(
        prune(body.clone()).await.json(),
        json!({ "count": 1, "has_more": false })
    );
    let pruned = world.get("").await.json();
    let fields = pruned["records"][0].as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["_nango_metadata", "id"]);
    assert!(fields["_nango_metadata"]["pruned_at"].is_string());
    assert!(pruned["records"][2]["_nango_metadata"]["pruned_at"].is_null());
    for (wrong, field) in [
        (
            json!({ "model": "Contact", "until_cursor": "x" }),
            "until_cursor",
        ),
        (json!({ "model": "Contact" }), "until_cursor"),
        (json!({ "until_cursor": until }), "model"),
        (
            json!({ "model": "Contact", "until_cursor": until, "limit": 0 }),
            "limit",
        ),
        (
            json!({ "model": "Contact", "until_cursor": until, "limit": 10_001 }),
            "limit",
        ),
    ] {
        let reply = prune(wrong).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code()),
            (400, "invalid_body".to_owned())
        );
        assert_eq!(reply.json()["error"]["errors"][0]["path"], json!([field]));
    }
    world.app.stop().await;
}
