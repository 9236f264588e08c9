//! Records of a connection.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use linkspan_client::{Client, Error, ErrorCode, LastAction, RetryPolicy, StatusCode};
use linkspan_testkit::TestApp;

use crate::client;
use crate::misbehaving::{Step, server};

#[tokio::test(flavor = "multi_thread")]
async fn records_are_read_page_by_page_filtered_and_pruned() {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    let name = app.stream("demo", &id, "Contact").await;
    app.save_records(
        &name,
        &[r#"{"id":"a","n":1}"#, r#"{"id":2}"#, r#"{"id":"c"}"#],
    )
    .await;
    app.save_records(&name, &[r#"{"id":2,"n":2}"#]).await;
    let linkspan = client(&app);
    let contacts = linkspan.connection("demo", &id).records("Contact");
    let all: Vec<_> = contacts.list().limit(1).all().try_collect().await.unwrap();
    let ids: Vec<_> = all
        .iter()
        .map(|record| record.fields["id"].to_string())
        .collect();
    assert_eq!(ids, ["\"a\"", "\"c\"", "2"]);
    assert_eq!(all[2].metadata.last_action, LastAction::Updated);
    assert!(!all[0].fields.contains_key("_nango_metadata"));

    let rest = contacts
        .list()
        .after(&all[0].metadata.cursor)
        .send()
        .await
        .unwrap();
    assert_eq!(
        (rest.records.as_slice(), rest.next_cursor),
        (&all[1..], None)
    );
    let rest = contacts
        .list()
        .modified_after(all[1].metadata.last_modified_at)
        .send()
        .await;
    assert_eq!(rest.unwrap().records, all[2..]);
    let updated = contacts
        .list()
        .actions([LastAction::Updated, LastAction::Deleted])
        .send()
        .await;
    assert_eq!(updated.unwrap().records, all[2..]);
    let two = contacts.list().id("a").id("2").send().await.unwrap();
    assert_eq!(two.records.len(), 2);
    let other = contacts
        .clone()
        .variant("other")
        .list()
        .send()
        .await
        .unwrap();
    assert_eq!(other.records, []);

    let pruned = contacts.prune(&all[1].metadata.cursor, 1).await.unwrap();
    assert_eq!((pruned.count, pruned.has_more), (1, true));
    let error = contacts.prune("nonsense", 1).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidBody), "{error}");
    let nobody = linkspan.connection("demo", "nobody").records("Contact");
    let error = nobody.list().send().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownConnection));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_followed_as_they_happen() {
    let app = TestApp::start_with(&[("LINKSPAN_RECORDS_MAX_STREAMS", "1")]).await;
    let id = app.connect_demo().await;
    let name = app.stream("demo", &id, "Contact").await;
    app.save_records(&name, &[r#"{"id":"a"}"#, r#"{"id":"b"}"#])
        .await;
    let linkspan = client(&app);
    let contacts = linkspan.connection("demo", &id).records("Contact");
    let mut changes = contacts.changes().stream();
    let first = changes.try_next().await.unwrap().unwrap();
    let second = changes.try_next().await.unwrap().unwrap();
    assert_eq!(
        (&first.fields["id"], &second.fields["id"]),
        (&"a".into(), &"b".into())
    );
    app.save_records(&name, &[r#"{"id":"a","n":1}"#]).await;
    let third = changes.try_next().await.unwrap().unwrap();
    assert_eq!(third.metadata.last_action, LastAction::Updated);
    let listed = contacts.list().all().try_collect::<Vec<_>>().await.unwrap();
    assert_eq!(listed, [second.clone(), third.clone()]);
    // Its connection is closed with it: there is one seat, and it is free again.
    drop(changes);
    let mut again = contacts.changes().after(&second.metadata.cursor).stream();
    assert_eq!(again.try_next().await.unwrap().unwrap(), third);
    drop(again);
    let nothing = contacts.clone().variant("none").changes().after("nonsense");
    let error = nothing.stream().try_next().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::InvalidHeaders), "{error}");
    app.stop().await;
}

const SSE: &str = "content-type: text/event-stream\r\n";

fn event(id: &str) -> String {
    let metadata = format!(
        r#"{{"first_seen_at":"2026-11-23T12:00:00.000001Z","last_modified_at":"2026-11-23T12:00:00.000001Z","last_action":"ADDED","deleted_at":null,"pruned_at":null,"cursor":"{id}"}}"#
    );
    format!("id: {id}\ndata: {{\"id\":\"{id}\",\"_nango_metadata\":{metadata}}}\n\n")
}

fn answer(text: String) -> Step {
    Step::Answer(200, SSE, text.leak())
}

fn impatient(url: &str) -> Client {
    let retries = RetryPolicy::default().first_wait(Duration::from_millis(1));
    let builder = Client::builder(url, "a key").retries(retries);
    builder.timeout(Duration::from_secs(5)).build().unwrap()
}

#[tokio::test]
async fn a_follower_goes_on_after_what_it_has_whatever_happens_to_its_connection() {
    let half = event("c");
    let (url, seen) = server(vec![
        // Not there at first, and then for a while.
        Step::Close,
        answer(format!("retry: 1\n\n:\n\n{}{}", event("a"), event("b"))),
        Step::Answer(503, "retry-after: 0\r\n", ""),
        Step::Answer(502, "", "<html>"),
        Step::Close,
        Step::Close,
        Step::Close,
        answer(half[..half.len() - 3].to_owned()),
        // A server that has gone without a word.
        Step::Hang,
        answer(event("c")),
        Step::Answer(
            400,
            "",
            r#"{"error":{"code":"unknown_connection","message":"gone"}}"#,
        ),
    ])
    .await;
    let linkspan = Client::builder(&url, "a key")
        .retries(RetryPolicy::default().first_wait(Duration::from_millis(1)))
        .timeout(Duration::from_millis(500))
        .build()
        .unwrap();
    let contacts = linkspan.connection("crm", "1").records("Contact");
    let changes = contacts.changes().after("start").stream();
    let (given, ended): (Vec<_>, Vec<_>) = changes
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .partition(Result::is_ok);
    let given: Vec<_> = given
        .into_iter()
        .map(|r| r.unwrap().metadata.cursor)
        .collect();
    assert_eq!(given, ["a", "b", "c"]);
    let [Err(error)] = &ended[..] else {
        panic!("{ended:?}")
    };
    assert_eq!(error.code(), Some(ErrorCode::UnknownConnection));
    let places: Vec<String> = seen
        .lock()
        .unwrap()
        .iter()
        .map(|request| {
            let place = request
                .lines()
                .find_map(|l| l.strip_prefix("last-event-id: "));
            place.unwrap().to_owned()
        })
        .collect();
    let mut expected = vec!["start"; 2];
    expected.extend(["b"; 8]);
    expected.push("c");
    assert_eq!(places, expected);
}

#[tokio::test]
async fn a_follower_that_was_never_connected_gives_up_as_other_calls_do() {
    let (url, seen) = server((0..3).map(|_| Step::Answer(503, "", "")).collect()).await;
    let linkspan = impatient(&url);
    let contacts = linkspan.connection("crm", "1").records("Contact");
    let mut changes = contacts.changes().stream();
    let error = changes.try_next().await.unwrap_err();
    assert_eq!(error.status(), Some(StatusCode::SERVICE_UNAVAILABLE));
    assert!(changes.next().await.is_none());
    assert_eq!(seen.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_silent_connection_is_left_and_what_is_no_record_ends_the_stream() {
    let (url, seen) = server(vec![
        // More is announced than comes.
        Step::Stall(SSE, event("a").leak()),
        answer("data: []\n\n".to_owned()),
    ])
    .await;
    let linkspan = impatient(&url);
    let contacts = linkspan.connection("crm", "1").records("Contact");
    let changes = contacts.changes().silence(Duration::from_millis(300));
    let mut changes = changes.stream();
    assert_eq!(
        changes.try_next().await.unwrap().unwrap().metadata.cursor,
        "a"
    );
    let error = changes.try_next().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error}");
    assert_eq!(seen.lock().unwrap().len(), 2);
}
