//! The token endpoint.

use std::time::Duration;

use http::Method;

use crate::http_client::{get, post_form, send};
use crate::{
    VERIFIER, access_token, ask_token, code, good_exchange, good_refresh, mutations, start, text,
    tokens, url,
};

#[tokio::test]
async fn every_mutation_of_a_code_request_is_refused_and_recorded() {
    let simulator = start().await;
    let control = simulator.control();
    let good = good_exchange(&code(&simulator).await);
    let other_verifier = VERIFIER.replace('d', "e");
    let wrong = [
        ("grant_type", "password"),
        ("code", "demo_code_0"),
        ("redirect_uri", "http://127.0.0.1:9/callback"),
        ("client_id", "other-client"),
        ("client_secret", "other-secret"),
        ("code_verifier", other_verifier.as_str()),
    ];
    for (what, fields) in mutations(&good, &wrong) {
        let answer = ask_token(&simulator, &fields).await;
        let expected = match what.as_str() {
            "wrong grant_type" => (400, "unsupported_grant_type"),
            "wrong client_id" | "wrong client_secret" => (401, "invalid_client"),
            "wrong code" | "wrong redirect_uri" | "wrong code_verifier" => (400, "invalid_grant"),
            _ => (400, "invalid_request"),
        };
        let error = answer.json()["error"].clone();
        assert_eq!(
            (answer.status, error.as_str().unwrap_or_default()),
            expected,
            "{what}"
        );
        assert_eq!(answer.header("cache-control"), "no-store", "{what}");
        let refusals = control.take_refusals();
        assert_eq!(refusals.len(), 1, "{what}: {refusals:?}");
        assert_eq!(refusals[0].path, "/oauth/token", "{what}");
    }
    assert_eq!(
        ask_token(&simulator, &good).await.status,
        200,
        "the unspoilt request is good"
    );
    assert_eq!(control.refusals(), []);
}

#[tokio::test]
async fn every_mutation_of_a_refresh_request_is_refused_and_recorded() {
    let simulator = start().await;
    let control = simulator.control();
    let good = good_refresh(&text(&tokens(&simulator).await, "refresh_token"));
    let wrong = [
        ("grant_type", "client_credentials"),
        ("refresh_token", "demo_refresh_0"),
        ("client_id", "other-client"),
        ("client_secret", "other-secret"),
    ];
    for (what, fields) in mutations(&good, &wrong) {
        let answer = ask_token(&simulator, &fields).await;
        assert!(
            [400, 401].contains(&answer.status),
            "{what}: {}",
            answer.status
        );
        let refusals = control.take_refusals();
        assert_eq!(refusals.len(), 1, "{what}: {refusals:?}");
    }
    assert_eq!(control.refreshes(), 0);
    assert_eq!(
        ask_token(&simulator, &good).await.status,
        200,
        "the unspoilt request is good"
    );
    assert_eq!(control.refreshes(), 1);
}

#[tokio::test]
async fn the_form_of_a_token_request_is_strict_too() {
    let simulator = start().await;
    let control = simulator.control();
    let good = good_exchange(&code(&simulator).await);
    let with_query = url(&simulator, "oauth/token?x=1");
    assert_eq!(post_form(&with_query, &good).await.status, 400);

    let body = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&good)
        .finish();
    let address = url(&simulator, "oauth/token");
    let form = ("content-type", "application/x-www-form-urlencoded");
    for headers in [
        &[("content-type", "application/json")][..],
        &[],
        &[form, ("authorization", "Basic ZGVtbzpkZW1v")],
    ] {
        let answer = send(Method::POST, &address, headers, body.clone()).await;
        assert_eq!(answer.status, 400, "{headers:?}");
    }
    let answer = send(Method::GET, &address, &[], "").await;
    assert_eq!(answer.status, 405);
    assert_eq!(control.take_refusals().len(), 5);

    let charset = (
        "content-type",
        "application/x-www-form-urlencoded; charset=UTF-8",
    );
    let answer = send(Method::POST, &address, &[charset], body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(control.token_requests(), 5, "all that were posted");
}

#[tokio::test]
async fn a_code_used_twice_revokes_what_it_bought() {
    let simulator = start().await;
    let good = good_exchange(&code(&simulator).await);
    let bought = ask_token(&simulator, &good).await.json();
    let bystander = access_token(&simulator).await;

    let second = ask_token(&simulator, &good).await;
    assert_eq!(
        (second.status, second.json()["error"].clone()),
        (400, "invalid_grant".into())
    );
    assert_eq!(simulator.control().take_refusals().len(), 1);

    let me = url(&simulator, "api/me");
    assert_eq!(get(&me, &text(&bought, "access_token")).await.status, 401);
    assert_eq!(
        get(&me, &bystander).await.status,
        200,
        "another grant is untouched"
    );
    let refresh = good_refresh(&text(&bought, "refresh_token"));
    assert_eq!(ask_token(&simulator, &refresh).await.status, 400);
}

#[tokio::test]
async fn a_code_expires_after_a_minute() {
    let simulator = start().await;
    let (early, late) = (code(&simulator).await, code(&simulator).await);
    let control = simulator.control();
    control.advance_clock(Duration::from_secs(50));
    assert_eq!(
        ask_token(&simulator, &good_exchange(&early)).await.status,
        200
    );
    control.advance_clock(Duration::from_secs(11));
    let answer = ask_token(&simulator, &good_exchange(&late)).await;
    assert_eq!(answer.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn refresh_tokens_rotate_and_a_spent_one_is_refused() {
    let simulator = start().await;
    let first = tokens(&simulator).await;
    let spent = good_refresh(&text(&first, "refresh_token"));
    let second = ask_token(&simulator, &spent).await.json();
    for name in ["access_token", "refresh_token"] {
        assert_ne!(text(&first, name), text(&second, name));
    }
    assert_eq!(second["scope"], first["scope"]);

    let again = ask_token(&simulator, &spent).await;
    assert_eq!(
        (again.status, again.json()["error"].clone()),
        (400, "invalid_grant".into())
    );
    assert_eq!(simulator.control().take_refusals().len(), 1);

    let next = good_refresh(&text(&second, "refresh_token"));
    assert_eq!(ask_token(&simulator, &next).await.status, 200);
    let me = get(&url(&simulator, "api/me"), &text(&second, "access_token")).await;
    assert_eq!(me.status, 200);
    assert_eq!(simulator.control().refreshes(), 2);
}

#[tokio::test]
async fn a_withdrawn_refresh_token_is_refused_but_not_the_callers_mistake() {
    let simulator = start().await;
    let refresh = good_refresh(&text(&tokens(&simulator).await, "refresh_token"));
    simulator.control().revoke_refresh_tokens();
    let answer = ask_token(&simulator, &refresh).await;
    assert_eq!(
        (answer.status, answer.json()["error"].clone()),
        (400, "invalid_grant".into())
    );
    assert_eq!(simulator.control().refusals(), []);
}
