//! Records of a connection.

use futures_util::TryStreamExt;
use linkspan_client::{ErrorCode, LastAction};
use linkspan_testkit::TestApp;

use crate::client;

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
