//! Misbehaviour on demand.

use std::time::{Duration, Instant};

use linkspan_simulator::Fault;
use linkspan_simulator::browser::Decision;

use crate::http_client::get;
use crate::{
    ask_token, code, decide, good_exchange, good_refresh, start, text, tokens, url, value,
};

#[tokio::test]
async fn a_token_error_is_answered_once_and_spends_nothing() {
    let simulator = start().await;
    let control = simulator.control();
    let good = good_exchange(&code(&simulator).await);
    control.fail_next(Fault::TokenError {
        status: 503,
        body: "busy".into(),
    });
    let failed = ask_token(&simulator, &good).await;
    assert_eq!((failed.status, failed.text().as_str()), (503, "busy"));
    assert_eq!(control.pending_faults(), 0);
    assert_eq!(ask_token(&simulator, &good).await.status, 200);
    assert_eq!(control.token_requests(), 2);
}

#[tokio::test]
async fn a_slow_token_is_already_rotated_while_the_answer_is_held_back() {
    let simulator = start().await;
    let control = simulator.control();
    let refresh = good_refresh(&text(&tokens(&simulator).await, "refresh_token"));
    let delay = Duration::from_millis(300);
    control.fail_next(Fault::SlowToken(delay));
    let began = Instant::now();
    let slow = ask_token(&simulator, &refresh);
    let meanwhile = async {
        control.wait_until(|control| control.refreshes() == 1).await;
        ask_token(&simulator, &refresh).await
    };
    let (slow, meanwhile) = tokio::join!(slow, meanwhile);
    assert_eq!(meanwhile.json()["error"], "invalid_grant");
    assert_eq!(slow.status, 200);
    assert!(began.elapsed() >= delay, "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_status_fault_meets_only_its_path_and_only_once() {
    let simulator = start().await;
    let control = simulator.control();
    let token = text(&tokens(&simulator).await, "access_token");
    control.fail_next(Fault::Status {
        path: "/api/items".into(),
        status: 429,
        headers: vec![("retry-after".into(), "7".into())],
        body: "slow down".into(),
    });
    assert_eq!(get(&url(&simulator, "api/me"), &token).await.status, 200);
    let items = url(&simulator, "api/items?page=2");
    let limited = get(&items, &token).await;
    assert_eq!((limited.status, limited.header("retry-after")), (429, "7"));
    assert_eq!(limited.text(), "slow down");
    assert_eq!(get(&items, &token).await.status, 200);
    assert_eq!(control.refusals(), []);
}

#[tokio::test]
async fn consent_can_be_overruled() {
    let simulator = start().await;
    simulator.control().fail_next(Fault::RefuseConsent);
    let pairs = decide(&simulator, Decision::Allow).await;
    assert_eq!(value(&pairs, "error"), "access_denied");
    let pairs = decide(&simulator, Decision::Allow).await;
    assert_ne!(value(&pairs, "code"), "");
}
