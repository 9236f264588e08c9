//! What every mode that logs in does with a provider that gives no token.

use linkspan_simulator::strict::{Answer, Misbehaviour, Strict};
use linkspan_testkit::TestApp;
use serde_json::Value;

use super::{connect, count};

/// Wrong entries, and right ones while the provider answers without a token or
/// not at all: each is the contract's error, says no secret, and stores nothing.
pub(super) async fn expect_refusals(
    app: &TestApp,
    provider: &Strict,
    route: &str,
    more: &str,
    wrong: &Value,
    right: &Value,
) {
    let cases = [
        ("wrong entries", None, 400, "invalid_credentials"),
        (
            "refused",
            Some(Misbehaviour::Refuse),
            400,
            "invalid_credentials",
        ),
        (
            "a page",
            Some(Misbehaviour::Garbage),
            400,
            "invalid_credentials",
        ),
        ("nothing", answer(""), 400, "invalid_credentials"),
        (
            "no token",
            answer("{\"ok\":true}"),
            400,
            "invalid_credentials",
        ),
        ("silence", Some(Misbehaviour::Hang), 504, "upstream_timeout"),
    ];
    for (case, misbehaviour, status, code) in cases {
        let body = if misbehaviour.is_none() { wrong } else { right };
        provider.behave();
        if let Some(misbehaviour) = misbehaviour {
            provider.misbehave("/", misbehaviour);
        }
        let reply = connect(app, route, more, body.clone()).await;
        let found = (reply.status.as_u16(), reply.code());
        assert_eq!(
            (found.0, found.1.as_str()),
            (status, code),
            "{case}: {reply:?}"
        );
        let text = String::from_utf8_lossy(&reply.body);
        assert!(!text.contains("planted"), "{case}: {text}");
        assert_eq!(count(app).await, 0, "{case}");
    }
    provider.behave();
}

fn answer(body: &str) -> Option<Misbehaviour> {
    let answer = Answer::new(200, "application/json", body.to_owned());
    Some(Misbehaviour::Answer(answer))
}
