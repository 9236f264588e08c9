use linkspan_simulator::strict::{Answer, Misbehaviour, Refused, Strict};
use serde_json::json;

use super::http_client::post_form;

async fn start() -> Strict {
    let started = Strict::start(|request| match request.path.as_str() {
        "/login.test/token" if request.body.as_ref() == b"user=ann" => {
            Ok(Answer::json(&json!({ "token": "t" })))
        }
        "/login.test/token" => Err(Refused::client("user is wrong")),
        _ => Err(Refused::path()),
    });
    started.await.expect("a free port")
}

#[tokio::test]
async fn rules_decide_and_everything_is_kept() {
    let provider = start().await;
    let url = format!("{}/login.test/token?a=%20b&c", provider.url());
    let good = post_form(&url, &[("user", "ann".to_owned())]).await;
    assert_eq!(
        (good.status, good.json()["token"].as_str()),
        (200, Some("t"))
    );
    let bad = post_form(&url, &[("user", "bob".to_owned())]).await;
    assert_eq!(
        (bad.status, bad.json()["error"].as_str()),
        (401, Some("invalid_client"))
    );
    let seen = provider.requests_to("/login.test/");
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[0].raw_query, "a=%20b&c");
    assert_eq!(seen[0].query[0].1, " b");
    assert_eq!(seen[1].body.as_ref(), b"user=bob");
    let refusals = provider.take_refusals();
    assert_eq!(
        (refusals.len(), refusals[0].reason.as_str()),
        (1, "user is wrong")
    );
    assert_eq!(provider.refusals(), []);
}

#[tokio::test]
async fn paths_misbehave_until_told_otherwise() {
    let provider = start().await;
    let url = format!("{}/login.test/token", provider.url());
    let fields = vec![("user", "ann".to_owned())];
    provider.misbehave("/login.test", Misbehaviour::Refuse);
    assert_eq!(post_form(&url, &fields).await.status, 401);
    provider.misbehave("/", Misbehaviour::Garbage);
    assert!(post_form(&url, &fields).await.text().starts_with('<'));
    let teapot = Answer::new(418, "text/plain", "short");
    provider.misbehave("/login", Misbehaviour::Answer(teapot));
    assert_eq!(post_form(&url, &fields).await.status, 418);
    provider.behave();
    assert_eq!(post_form(&url, &fields).await.status, 200);
    assert_eq!(
        provider.refusals(),
        [],
        "a misbehaviour is not the caller's mistake"
    );

    provider.misbehave("/", Misbehaviour::Hang);
    let hangs = post_form(&url, &fields);
    let arrived = async {
        while provider.requests().len() < 5 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        answer = hangs => panic!("it answered {}", answer.status),
        () = arrived => {}
    }
}
