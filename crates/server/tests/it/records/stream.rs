//! `GET /records/stream`: every change, in order, whichever process wrote it.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use linkspan_net as net;
use linkspan_records::Store;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::World;

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(20);

async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.unwrap()
}

/// An open stream.
struct Events {
    body: net::Incoming,
    text: String,
}

/// An event: its id, and the record.
type Event = (String, Value);

async fn ask(world: &World, server: &str, query: &str, last: &str) -> Response<net::Incoming> {
    let policy = net::AddressPolicy::from_settings(&["loopback".to_owned()], &[]).unwrap();
    let settings = net::Settings {
        policy,
        ..net::Settings::default()
    };
    let url = format!("{server}/records/stream?model=Contact{query}");
    let bearer = format!("Bearer {}", world.app.dev.api_key.expose_secret());
    let request = Request::get(url)
        .header("authorization", bearer)
        .header("provider-config-key", "demo")
        .header("connection-id", &world.connection)
        .header("last-event-id", last)
        .body(net::Body::empty())
        .unwrap();
    let deadlines = net::Deadlines {
        response_head: PATIENCE,
    };
    let client = net::Client::new(settings).unwrap();
    client.send(request, deadlines).await.unwrap()
}

impl Events {
    async fn open(world: &World, query: &str, last: &str) -> Self {
        Self::open_at(world, &world.app.url(""), query, last).await
    }

    async fn open_at(world: &World, server: &str, query: &str, last: &str) -> Self {
        let answer = ask(world, server, query, last).await;
        assert_eq!(answer.status(), StatusCode::OK);
        assert_eq!(answer.headers()["content-type"], "text/event-stream");
        let mut events = Self {
            body: answer.into_body(),
            text: String::new(),
        };
        assert_eq!(events.block().await.as_deref(), Some("retry: 1000"));
        events
    }

    /// What stands before the next empty line; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            let frame = soon(self.body.frame()).await?.unwrap();
            let data = frame.into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    async fn next(&mut self) -> Event {
        let block = self.block().await.unwrap();
        let (id, data) = block.split_once('\n').unwrap();
        let data = data.strip_prefix("data: ").unwrap();
        let record: Value = serde_json::from_str(data).unwrap();
        let id = id.strip_prefix("id: ").unwrap().to_owned();
        assert_eq!(record["_nango_metadata"]["cursor"], id);
        (id, record)
    }

    async fn ids(&mut self, count: usize) -> Vec<Value> {
        let mut ids = Vec::new();
        for _ in 0..count {
            ids.push(self.next().await.1["id"].clone());
        }
        ids
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_comes_first_and_then_each_change() {
    let world = World::new().await;
    let mut early = Events::open(&world, "", "").await;
    let texts: Vec<String> = (0..250)
        .map(|n| format!("{{\"id\":{n},\n\"x\":\r1}}"))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    world.save(&texts).await;
    let all: Vec<Value> = (0..250).map(Value::from).collect();
    assert_eq!(early.ids(250).await, all, "before there was a stream");
    let mut late = Events::open(&world, "", "").await;
    assert_eq!(late.ids(250).await, all);
    world.save(&[r#"{"id":7,"x":2}"#, r#"{"id":"new"}"#]).await;
    world.delete("8").await;
    for events in [&mut early, &mut late] {
        let actions = [
            events.next().await,
            events.next().await,
            events.next().await,
        ]
        .map(|(_, record)| record["_nango_metadata"]["last_action"].clone());
        assert_eq!(actions, ["UPDATED", "ADDED", "DELETED"]);
    }
    drop((early, late));
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_on_from_any_event() {
    let world = World::new().await;
    world
        .save(&[r#"{"id":1}"#, r#"{"id":2}"#, r#"{"id":3}"#])
        .await;
    let mut events = Events::open(&world, "", "").await;
    let (first, _) = events.next().await;
    let (second, _) = events.next().await;
    drop(events);
    let mut by_query = Events::open(&world, &format!("&cursor={first}"), "").await;
    assert_eq!(by_query.ids(2).await, [2, 3]);
    // What the browser says holds before what the page asked for at first.
    let mut by_header = Events::open(&world, &format!("&cursor={first}"), &second).await;
    assert_eq!(by_header.ids(1).await, [3]);
    for (query, last) in [("&cursor=x", ""), ("", "x"), ("&filter=added", "")] {
        let refused = ask(&world, &world.app.url(""), query, last).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{query} {last}");
    }
    drop((by_query, by_header));
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_another_process_arrive_too() {
    let world = World::new().await;
    let another = world.app.another_server().await;
    let mut here = Events::open(&world, "", "").await;
    let mut there = Events::open_at(&world, &another.base_url, "", "").await;
    for n in 0..3 {
        // A store that shares nothing with either server.
        let other = Store::new(world.app.core.records.clone(), world.app.core.vault.clone());
        let record = serde_json::value::RawValue::from_string(format!("{{\"id\":{n}}}")).unwrap();
        let saved = other.batch_save(&world.name, vec![record], Default::default());
        saved.await.unwrap();
        assert_eq!(here.ids(1).await, [n]);
        assert_eq!(there.ids(1).await, [n]);
    }
    drop((here, there));
    another.stop().await;
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracking_that_begins_is_no_change_and_holds_up_none() {
    let world = World::new().await;
    let store = Store::of(&world.app.core);
    world.save(&[r#"{"id":1}"#]).await;
    let mut events = Events::open(&world, "", "").await;
    assert_eq!(events.ids(1).await, [1]);
    store.track_begin(&world.name, None).await.unwrap();
    world.save(&[r#"{"id":2}"#]).await;
    assert_eq!(events.ids(1).await, [2]);
    assert_eq!(store.track_end(&world.name, None).await.unwrap(), 1);
    assert_eq!(
        events.next().await.1["_nango_metadata"]["last_action"],
        "DELETED"
    );
    drop((events, store));
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_ends_its_streams() {
    let world = World::new().await;
    world.save(&[r#"{"id":1}"#]).await;
    let another = world.app.another_server().await;
    let mut events = Events::open_at(&world, &another.base_url, "", "").await;
    assert_eq!(events.ids(1).await, [1]);
    let (end, ()) = tokio::join!(events.block(), another.stop());
    assert_eq!(end, None, "a clean end");
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_are_open_at_once() {
    let world = World::with(&[("LINKSPAN_RECORDS_MAX_STREAMS", "1")]).await;
    let open = Events::open(&world, "", "").await;
    let refused = ask(&world, &world.app.url(""), "", "").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "10");
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["error"]["code"], "too_many_streams");
    drop(open);
    soon(async {
        while ask(&world, &world.app.url(""), "", "").await.status() != StatusCode::OK {}
    })
    .await;
    world.app.stop().await;
}
