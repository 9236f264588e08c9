//! Calls to the routes of records and of the syncs that save them.

use http::Method;
use linkspan_shared::connections::syncing::Arrange;
use linkspan_syncs::Definition;
use serde_json::{Value, json};

use super::live::Checker;

pub(super) async fn records(checker: &mut Checker<'_>) {
    let (list, prune, stream) = ("/records", "/records/prune", "/records/stream");
    let query = "?model=Contact&limit=1";
    let named = [
        ("Provider-Config-Key", "bearer"),
        ("Connection-Id", "again"),
    ];
    let name = checker.app.stream("bearer", "again", "Contact").await;
    let texts = [r#"{"id":1,"a":"b"}"#, r#"{"id":2}"#];
    checker.app.save_records(&name, &texts).await;
    let token = checker.app.dev.api_key.clone();
    let path = format!("{list}{query}");
    let page = checker
        .call_with(&token, Method::GET, list, &path, &named, Value::Null)
        .await;
    assert_eq!(page.status, 200, "{page:?}");
    let page = page.json();
    let until = &page["records"][0]["_nango_metadata"]["cursor"];
    let body = json!({ "model": "Contact", "until_cursor": until });
    let pruned = checker
        .call_with(&token, Method::PATCH, prune, prune, &named, body)
        .await;
    assert_eq!(pruned.json(), json!({ "count": 1, "has_more": false }));
    checker.fails(Method::GET, list, &path, Value::Null).await;
    checker
        .fails(Method::PATCH, prune, prune, json!({ "model": "Contact" }))
        .await;
    checker
        .fails(Method::GET, stream, stream, Value::Null)
        .await;
}

pub(super) async fn syncs(checker: &mut Checker<'_>) {
    let definition = Definition::native("contacts", &["Contact"]);
    let environment = checker.app.dev.environment.id;
    let core = &checker.app.core;
    let recorded = linkspan_syncs::functions::record(core, environment, "bearer", &definition)
        .await
        .unwrap();
    let arrange = Arrange {
        environment,
        integration: recorded.integration_id,
        connection: None,
    };
    let made = linkspan_syncs::arrange(core, &arrange, || false).await;
    assert!(made.unwrap() > 0);
    let (post, status) = ("/sync/{}/variant/{}", "/sync/status");
    let of = json!({ "provider_config_key": "bearer", "connection_id": "again" });
    let variant = "/sync/contacts/variant/big";
    checker.ok(Method::POST, post, variant, of.clone()).await;
    checker.fails(Method::POST, post, variant, of.clone()).await;
    let path = "/sync/status?syncs=*&provider_config_key=bearer&connection_id=again";
    let all = checker.ok(Method::GET, status, path, Value::Null).await;
    assert_eq!(all["syncs"].as_array().map(Vec::len), Some(2));
    checker
        .fails(Method::GET, status, status, Value::Null)
        .await;
    let tell = json!({ "syncs": ["contacts"], "provider_config_key": "bearer" });
    for path in ["/sync/trigger", "/sync/pause", "/sync/start"] {
        checker.ok(Method::POST, path, path, tell.clone()).await;
        let nothing = json!({ "syncs": ["nothing"], "provider_config_key": "bearer" });
        checker.fails(Method::POST, path, path, nothing).await;
    }
    let path = "/sync/update-connection-frequency";
    let mut body = of.clone();
    body["sync_name"] = "contacts".into();
    body["frequency"] = "every half hour".into();
    checker.ok(Method::PUT, path, path, body.clone()).await;
    body["frequency"] = "every 29s".into();
    checker.fails(Method::PUT, path, path, body).await;
    checker.ok(Method::DELETE, post, variant, of.clone()).await;
    checker.fails(Method::DELETE, post, variant, of).await;
}
