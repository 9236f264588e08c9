//! The authorise endpoint, login and consent.

use std::time::Duration;

use http::Method;
use linkspan_simulator::browser::{self, Browser, BrowserError, Decision};
use linkspan_simulator::{RedirectUris, Settings, Simulator, User};

use crate::http_client::{get, post_form, send};
use crate::{authorize_url, decide, good_authorize, mutations, query, start, tokens, url, value};

#[tokio::test]
async fn the_whole_way_gives_tokens_and_no_refusal() {
    let simulator = start().await;
    let answer = tokens(&simulator).await;
    assert_eq!(answer["token_type"], "bearer");
    assert_eq!(answer["expires_in"], 3600);
    assert_eq!(answer["scope"], "items.read profile.read");

    let token = answer["access_token"].as_str().expect("a token");
    let me = get(&url(&simulator, "api/me"), token).await;
    assert_eq!((me.status, &me.json()["login"]), (200, &"demo".into()));
    assert_eq!(simulator.control().refusals(), []);
}

#[tokio::test]
async fn the_redirect_keeps_the_query_of_the_redirect_uri_and_the_state() {
    let simulator = start().await;
    let pairs = decide(&simulator, Decision::Allow).await;
    let names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["kept", "code", "state"]);
    assert_eq!(value(&pairs, "state"), "st4te");
}

#[tokio::test]
async fn a_denied_consent_is_access_denied_and_no_refusal() {
    let simulator = start().await;
    let pairs = decide(&simulator, Decision::Deny).await;
    assert_eq!(value(&pairs, "error"), "access_denied");
    assert_eq!(value(&pairs, "state"), "st4te");
    assert!(pairs.iter().all(|(name, _)| name != "code"), "{pairs:?}");
    assert_eq!(simulator.control().refusals(), []);
}

#[tokio::test]
async fn every_mutation_of_an_authorize_request_is_refused_and_recorded() {
    let simulator = start().await;
    let control = simulator.control();
    let wrong = [
        ("response_type", "token"),
        ("client_id", "other-client"),
        ("redirect_uri", "https://app.example/callback"),
        ("state", "st\u{e4}te"),
        ("scope", "items.read items.write"),
        ("code_challenge", "too-short"),
        ("code_challenge_method", "plain"),
    ];
    for (what, fields) in mutations(&good_authorize(), &wrong) {
        let answer = send(Method::GET, &authorize_url(&simulator, &fields), &[], "").await;
        let told_to_the_person = what.ends_with("client_id") || what.ends_with("redirect_uri");
        if told_to_the_person {
            assert_eq!(answer.status, 400, "{what}");
            assert_eq!(answer.header("location"), "", "{what}");
        } else {
            assert_eq!(answer.status, 302, "{what}");
            let pairs = query(answer.header("location"));
            assert_ne!(value(&pairs, "error"), "", "{what}");
            let state_known = pairs.contains(&("state".into(), "st4te".into()));
            assert_eq!(state_known, !what.ends_with(" state"), "{what}: {pairs:?}");
        }
        assert!(
            !answer.text().contains("<form"),
            "{what} reached the login form"
        );

        let refusals = control.take_refusals();
        assert_eq!(refusals.len(), 1, "{what}: {refusals:?}");
        assert_eq!(refusals[0].path, "/oauth/authorize", "{what}");
        let field = what.split(' ').next_back().unwrap_or_default();
        assert!(refusals[0].reason.contains(field), "{what}: {refusals:?}");
    }
    decide(&simulator, Decision::Allow).await;
    assert_eq!(control.refusals(), [], "the unspoilt request is good");
}

#[tokio::test]
async fn errors_have_the_codes_of_the_rfc() {
    let simulator = start().await;
    for (field, bad, code) in [
        ("response_type", "token", "unsupported_response_type"),
        ("scope", "everything", "invalid_scope"),
        ("code_challenge_method", "plain", "invalid_request"),
    ] {
        let mut fields = good_authorize();
        let spoilt = fields.iter_mut().find(|(name, _)| *name == field);
        spoilt.expect("the field").1 = bad.into();
        let start = authorize_url(&simulator, &fields);
        let location = browser::authorize(&start, &Settings::default().user, Decision::Allow).await;
        let pairs = query(&location.expect("a redirect"));
        assert_eq!(value(&pairs, "error"), code);
    }
}

#[tokio::test]
async fn a_wrong_password_is_asked_again_and_is_no_refusal() {
    let simulator = start().await;
    let stranger = User {
        login: "demo".into(),
        password: "wrong".into(),
    };
    let start = authorize_url(&simulator, &good_authorize());
    let outcome = browser::authorize(&start, &stranger, Decision::Allow).await;
    assert!(
        matches!(outcome, Err(BrowserError::WrongPassword)),
        "{outcome:?}"
    );
    assert_eq!(simulator.control().refusals(), []);
}

#[tokio::test]
async fn a_form_works_once_and_only_for_its_own_step() {
    let simulator = start().await;
    let page = Browser::new()
        .open(&authorize_url(&simulator, &good_authorize()))
        .await;
    let ticket = ticket(&page.expect("the login page").body);

    let skipped = vec![("ticket", ticket.clone()), ("decision", "allow".into())];
    let consent = url(&simulator, "oauth/consent");
    assert_eq!(
        post_form(&consent, &skipped).await.status,
        400,
        "login skipped"
    );

    let sign_in = vec![
        ("ticket", ticket),
        ("login", "demo".into()),
        ("password", "demo".into()),
    ];
    let login = url(&simulator, "oauth/login");
    assert_eq!(post_form(&login, &sign_in).await.status, 200);
    assert_eq!(post_form(&login, &sign_in).await.status, 400, "sent twice");
}

#[tokio::test]
async fn a_sign_in_expires() {
    let simulator = start().await;
    let page = Browser::new()
        .open(&authorize_url(&simulator, &good_authorize()))
        .await;
    let ticket = ticket(&page.expect("the login page").body);
    simulator.control().advance_clock(Duration::from_secs(601));
    let fields = vec![
        ("ticket", ticket),
        ("login", "demo".into()),
        ("password", "demo".into()),
    ];
    let answer = post_form(&url(&simulator, "oauth/login"), &fields).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("expired"), "{}", answer.text());
}

#[tokio::test]
async fn pages_may_not_be_framed_stored_or_leak_their_address() {
    let simulator = start().await;
    let start = authorize_url(&simulator, &good_authorize());
    let page = send(Method::GET, &start, &[], "").await;
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let policy = page.header("content-security-policy");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test]
async fn exact_redirect_uris_exclude_loopback() {
    let settings = Settings {
        redirect_uris: RedirectUris::Exactly(vec!["https://app.example/cb".into()]),
        ..Settings::default()
    };
    let simulator = Simulator::start(settings).await.expect("a simulator");
    let answer = send(
        Method::GET,
        &authorize_url(&simulator, &good_authorize()),
        &[],
        "",
    )
    .await;
    assert_eq!(answer.status, 400);
}

fn ticket(html: &str) -> String {
    let rest = html.split(r#"name="ticket" value=""#).nth(1);
    let ticket = rest.and_then(|rest| rest.split('"').next());
    ticket.expect("a ticket in the form").to_owned()
}
