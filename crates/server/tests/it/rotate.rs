//! Keys are rotated while requests run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use linkspan_simulator::browser::Decision;
use linkspan_testkit::TestApp;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_on_while_every_secret_is_re_encrypted() {
    // No cache: every request opens what is stored at that moment.
    let app = TestApp::start_with(&[("LINKSPAN_CACHE_TTL_MS", "0")]).await;
    let connection = app.connect_demo().await;
    let path = format!("/connections/{connection}?provider_config_key=demo");
    let headers = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", connection.as_str()),
    ];
    let is_done = AtomicBool::new(false);
    let rounds = AtomicUsize::new(0);
    let requests = async {
        while !is_done.load(Ordering::Relaxed) {
            let read = app.get(&path).await;
            assert_eq!(read.status, 200, "{read:?}");
            let made = app.authorise("demo", Decision::Allow).await;
            assert_eq!(made.status, 200, "{made:?}");
            let key = &app.dev.api_key;
            let called = app
                .call_as(key, Method::GET, "/proxy/api/me", &headers, Value::Null)
                .await;
            assert_eq!(called.status, 200, "{called:?}");
            rounds.fetch_add(1, Ordering::Relaxed);
        }
    };
    let rotation = async {
        let report = app.core.vault.rotate_data(|_| {}).await.unwrap();
        is_done.store(true, Ordering::Relaxed);
        report
    };
    let (report, ()) = tokio::join!(rotation, requests);
    assert_eq!(report.unreadable, 0);
    assert!(report.resealed >= 3, "{report:?}");
    assert!(rounds.load(Ordering::Relaxed) > 1);
    assert_eq!(app.get(&path).await.status, 200);
    assert_eq!(app.provider.control().refusals().len(), 0);
}
