//! Our document says of each route what the table of routes says.

use linkspan_api::Scope;
use serde_json::{Value, json};

use super::document::Document;
use crate::routes::{Opens, ROUTES};

fn keys(scopes: &[Scope]) -> Vec<Value> {
    match scopes {
        [] => vec![json!({ "api_key": [] })],
        scopes => scopes
            .iter()
            .map(|scope| json!({ "api_key": [scope.as_str()] }))
            .collect(),
    }
}

#[test]
fn a_described_route_says_who_may_call_it() {
    let ours = Document::ours();
    let mut described = 0;
    for route in ROUTES {
        let method = route.method().as_str().to_lowercase();
        let operation = &ours.0["paths"][route.path][method];
        if operation.is_null() {
            continue;
        }
        described += 1;
        let session = json!({ "connect_session": [] });
        let expected = match route.opens {
            Opens::Key(scopes) => json!(keys(scopes)),
            Opens::KeyOrSession(scopes) => {
                let mut ways = keys(scopes);
                ways.push(session);
                json!(ways)
            }
            Opens::Session => json!([session]),
            Opens::Browser | Opens::Anybody => Value::Null,
        };
        assert_eq!(operation["security"], expected, "{route:?}");
        let refuses = !operation["responses"]["401"].is_null();
        assert_eq!(refuses, !matches!(route.opens, Opens::Anybody), "{route:?}");
    }
    assert!(described > 45, "{described}");
}

#[test]
fn an_operation_has_an_id_of_its_own() {
    let ours = Document::ours();
    let operations = ours.operations();
    let mut ids: Vec<_> = operations
        .values()
        .map(|operation| operation["operationId"].as_str().unwrap())
        .collect();
    ids.sort_unstable();
    let all = ids.len();
    ids.dedup();
    assert_eq!(ids.len(), all);
}
