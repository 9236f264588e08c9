//! What a sync saves: whole records are somebody's data.

use linkspan_records::Store;
use linkspan_testkit::TestApp;
use serde_json::value::RawValue;

use super::planted::Planted;

const SAVED: &str = "planted-record-payload-4a1c";
const CHANGED: &str = "planted-record-change-5b2d";
const REFUSED: &str = "planted-record-refused-6c3e";
const MAIL: &str = "planted-record-id@example.com";

/// Saves a record, changes it, deletes another one, and saves what no record is.
pub(super) async fn all(app: &TestApp, connection: &str, planted: &mut Planted) {
    for secret in [SAVED, CHANGED, REFUSED, MAIL] {
        planted.secret(secret);
    }
    let name = app.stream("demo", connection, "Planted").await;
    let record =
        |id: &str, text: &str| format!(r#"{{"id":"{id}","deep":{{"{text}":["{text}"]}}}}"#);
    let saved = [record(MAIL, SAVED), record("2", SAVED)];
    app.save_records(&name, &[&saved[0], &saved[1]]).await;
    app.save_records(&name, &[&record("2", CHANGED)]).await;
    let raw = |text: String| RawValue::from_string(text).unwrap();
    let store = Store::of(&app.core);
    for wrong in [
        format!(r#""{REFUSED}""#),
        format!(r#"{{"id":["{REFUSED}"]}}"#),
        format!(r#"{{"no-id":"{REFUSED}"}}"#),
    ] {
        let batch = vec![raw(wrong)];
        let refused = store.batch_save(&name, batch, Default::default()).await;
        let error = refused.unwrap_err();
        planted.errors += &format!("{error} {error:?}\n");
    }
    let headers = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", connection),
    ];
    let key = &app.dev.api_key;
    let path = "/records?model=Planted";
    let read = app
        .call_as(
            key,
            http::Method::GET,
            path,
            &headers,
            serde_json::Value::Null,
        )
        .await;
    for record in read.json()["records"].as_array().unwrap() {
        planted.shown::<linkspan_api::records::Record>(record.clone());
    }
    let text = String::from_utf8_lossy(&read.body);
    for kept in [SAVED, CHANGED, MAIL] {
        assert!(text.contains(kept), "{kept} is there to be found: {text}");
    }
}
