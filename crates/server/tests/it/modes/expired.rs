//! Tokens that have run out: whoever calls next gets new ones, and one request for
//! them is made however many call.

use futures_util::future::join_all;
use linkspan_shared::{connections, integrations};
use linkspan_simulator::strict::{Misbehaviour, Strict};
use linkspan_testkit::TestApp;
use serde_json::Value;

use super::call;
use crate::refresh::{EXPIRED, shift};

/// Lets the connection's tokens run out, and calls `path` several times at once:
/// one refresh is made, of `asks` requests to what begins with `tokens`. Then they
/// run out again while the provider refuses: the call fails, and nothing is stored.
pub(super) async fn expect_one_refresh(
    app: &TestApp,
    provider: &Strict,
    (key, connection, path): (&str, &str, &str),
    (tokens, asks): (&str, usize),
) {
    shift(app, key, connection, EXPIRED).await;
    let (version, _) = stored(app, key, connection).await;
    let asks_until_now = || {
        let mut seen = provider.requests_to(tokens);
        seen.retain(|request| !request.path.ends_with(path));
        seen.len()
    };
    let asked = asks_until_now();
    let calls = (0..4).map(|_| call(app, key, connection, path, None));
    for reply in join_all(calls).await {
        let refusals = provider.refusals();
        assert_eq!(reply.status, 200, "{key}: {reply:?} {refusals:?}");
    }
    assert_eq!(asks_until_now(), asked + asks, "{key}");
    assert_eq!(stored(app, key, connection).await.0, version + 1, "{key}");
    if asks == 0 {
        return;
    }

    shift(app, key, connection, EXPIRED).await;
    let before = stored(app, key, connection).await;
    provider.misbehave(tokens, Misbehaviour::Refuse);
    let reply = call(app, key, connection, path, None).await;
    let told = (reply.status.as_u16(), reply.code());
    assert_eq!(told, (400, "server_error".to_owned()), "{key}: {reply:?}");
    assert_eq!(stored(app, key, connection).await, before, "{key}");
    provider.behave();
}

/// The version of a connection's credentials, and these.
async fn stored(app: &TestApp, key: &str, connection: &str) -> (i64, Value) {
    let environment = app.dev.environment.id;
    let keys = app.core.vault.environment(environment).await.unwrap();
    let mut conn = app.core.db.conn().await.unwrap();
    let integration = integrations::get(&mut conn, &keys, environment, key).await;
    let integration = integration.unwrap();
    let stored = connections::get(&mut conn, &keys, &integration, connection).await;
    let stored = stored.unwrap();
    let credentials = serde_json::to_value(stored.credentials).unwrap();
    (stored.credentials_version, credentials)
}
