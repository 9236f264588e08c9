//! The operation log.

use std::time::Duration;

use futures_util::TryStreamExt;
use linkspan_client::{Client, ErrorCode, Method, Operation};
use linkspan_testkit::TestApp;

use crate::client;

/// Waits until the writer has stored so many operations of a connection.
async fn until_stored(linkspan: &Client, connection: &str, count: usize) -> Vec<Operation> {
    for _ in 0..400 {
        let list = linkspan.logs().list().connection(connection).limit(100);
        let page = list.send().await.unwrap();
        if page.operations.len() >= count {
            assert_eq!(page.next_cursor, None);
            return page.operations;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the log never had {count} operations");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_done_is_found_page_by_page_and_read() {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    let linkspan = client(&app);
    let handle = linkspan.connection("demo", &id);
    for path in ["/api/me", "/api/me", "/api/me", "/api/no-such"] {
        handle.proxy(Method::GET, path).send().await.unwrap();
    }
    let stored = until_stored(&linkspan, &id, 5).await;
    assert_eq!(stored[4].kind, "auth", "newest first");

    let list = || linkspan.logs().list().connection(&id);
    let streamed: Vec<_> = list().limit(2).all().try_collect().await.unwrap();
    assert_eq!(streamed, stored);
    let first = list().limit(2).send().await.unwrap();
    assert_eq!(first.operations, stored[..2]);
    let cursor = first.next_cursor.unwrap();
    let second = list().limit(2).after(cursor).send().await.unwrap();
    assert_eq!(second.operations, stored[2..4]);

    for (query, count) in [
        (list().kind("proxy"), 4),
        (list().kind("proxy").kind("auth"), 5),
        (list().status("success").kind("auth"), 1),
        (list().integration("demo"), 5),
        (list().integration("other"), 0),
        (list().from(stored[4].created_at), 5),
        (list().to(stored[4].created_at), 0),
    ] {
        let shown = format!("{query:?}");
        let found = query.send().await.unwrap().operations;
        assert_eq!(found.len(), count, "{shown}");
    }

    let full = linkspan.logs().get(&stored[4].id).await.unwrap();
    assert_eq!(full.operation, stored[4]);
    assert!(!full.messages.is_empty());
    assert!(!full.messages[0].text.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_found_is_said() {
    let app = TestApp::start().await;
    let linkspan = client(&app);
    let nobody = "019ab000-0000-7000-8000-000000000000";
    let unknown = linkspan.logs().get(nobody).await.unwrap_err();
    assert!(unknown.is_not_found());
    let wrong = linkspan.logs().list().status("perhaps").send().await;
    let wrong = wrong.unwrap_err();
    assert_eq!(wrong.code(), Some(ErrorCode::InvalidQueryParams));
    let streamed = linkspan.logs().list().limit(101).all();
    let streamed = streamed.try_collect::<Vec<_>>().await.unwrap_err();
    assert_eq!(streamed.code(), Some(ErrorCode::InvalidQueryParams));
}
