//! TWO_STEP.

use linkspan_simulator::strict::two_step::{self, PASSWORD, USER};
use serde_json::{Value, json};

use super::expired::expect_one_refresh;
use super::refused::expect_refusals;
use super::{IMPATIENT, call, connect, count, delete, full, id, integrate, refreshed, start_at};

/// Three providers: by a refresh token, in two steps, and with XML.
fn providers() -> [(&'static str, Value); 3] {
    [
        ("valley", json!({ "email": USER, "password": PASSWORD })),
        (
            "sellercloud",
            json!({ "teamName": "t 1", "username": USER, "password": PASSWORD }),
        ),
        (
            "sage-intacct",
            json!({ "senderId": "s", "senderPassword": "sp", "userId": USER,
                    "companyId": "c", "userPassword": PASSWORD }),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn logins_carry_calls_and_are_renewed() {
    let provider = two_step::start().await.unwrap();
    let slugs = providers().map(|(slug, _)| slug);
    let (_folder, app) = start_at(&provider, &slugs, &[]).await;
    for (slug, entered) in providers() {
        integrate(&app, slug, "").await;
        let made = connect(&app, &format!("/auth/two-step/{slug}"), "", entered).await;
        let connection = id(&made);
        assert_eq!(
            call(&app, slug, &connection, "/x", None).await.status,
            200,
            "{slug}"
        );
        let before = full(&app, slug, &connection).await["credentials"].clone();
        assert_eq!(before["type"], "TWO_STEP");
        assert!(before["expires_at"].is_string(), "{before}");
        // The second spends the refresh token that the first one brought.
        for _ in 0..2 {
            let after = refreshed(&app, slug, &connection).await.json()["credentials"].clone();
            assert!(
                after["token"].is_string() && after["token"] != before["token"],
                "{after}"
            );
        }
        assert_eq!(
            call(&app, slug, &connection, "/x", None).await.status,
            200,
            "{slug}"
        );
        let renewal = match slug {
            "valley" => ("/api.joinvalley.co/api/v1/auth/", 1),
            "sellercloud" => ("/second.example/rest/api/token", 1),
            _ => ("/api.intacct.com/", 1),
        };
        expect_one_refresh(&app, &provider, (slug, &*connection, "/x"), renewal).await;
        delete(&app, slug, &connection).await;
    }
    assert_eq!(provider.refusals(), []);
    let refreshes = provider.requests_to("/api.joinvalley.co/api/v1/auth/refresh-token");
    // Two were asked for; then a token ran out, and again while nothing was taken.
    assert_eq!(refreshes.len(), 4);
    let calls = provider.requests_to("/second.example/rest/x");
    assert_eq!(calls.len(), 6, "the API is where the first step said");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_does_not_take_is_not_stored() {
    let provider = two_step::start().await.unwrap();
    let (_folder, app) = start_at(&provider, &["valley"], &[IMPATIENT]).await;
    integrate(&app, "valley", "").await;
    let wrong = json!({ "email": USER, "password": "planted-wrong" });
    let right = json!({ "email": USER, "password": PASSWORD });
    let route = "/auth/two-step/valley";
    expect_refusals(&app, &provider, route, "", &wrong, &right).await;
    for (body, field) in [
        (json!({ "email": USER }), "password"),
        (json!({ "email": "nobody", "password": "p" }), "email"),
        (
            json!({ "email": USER, "password": "p", "more": "x" }),
            "more",
        ),
    ] {
        let reply = connect(&app, route, "", body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "invalid_body")
        );
        let error = reply.json();
        assert_eq!(
            error["error"]["errors"][0]["path"],
            json!([field]),
            "{error}"
        );
    }
    assert_eq!(count(&app).await, 0);
}
