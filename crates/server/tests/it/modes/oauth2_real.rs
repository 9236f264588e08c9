//! OAUTH2: each real template goes the whole way with a provider that verifies
//! the client, the code, the redirect address, the challenge and refresh tokens.

use linkspan_simulator::strict::oauth2::{CLIENT_ID, CLIENT_SECRET, Provider, Shape};
use linkspan_simulator::strict::{Answer, Misbehaviour, Strict};
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

use super::expired::expect_one_refresh;
use super::{IMPATIENT, call, count, delete, follow, full, set_up, start_at};
use crate::refresh::{EXPIRED, shift};

/// A template, and how its provider is.
struct Real {
    slug: &'static str,
    shape: Shape,
}

/// The client in a form; with parameters of its own and a refresh token that
/// stays; in a header with JSON; in a header without a challenge, refreshed
/// elsewhere.
const REAL: [Real; 4] = [
    Real {
        slug: "github",
        shape: Shape {
            authorize: "/github.com/login/oauth/authorize",
            asked: &[("scope", "read write")],
            has_pkce: true,
            token: "/github.com/login/oauth/access_token",
            refresh: "/github.com/login/oauth/access_token",
            is_header: false,
            is_json: false,
            rotates: true,
            api: "/api.github.com/x",
        },
    },
    Real {
        slug: "google",
        shape: Shape {
            authorize: "/accounts.google.com/o/oauth2/v2/auth",
            asked: &[
                ("scope", "read write"),
                ("access_type", "offline"),
                ("prompt", "consent"),
            ],
            has_pkce: true,
            token: "/oauth2.googleapis.com/token",
            refresh: "/oauth2.googleapis.com/token",
            is_header: false,
            is_json: false,
            rotates: false,
            api: "/www.googleapis.com/x",
        },
    },
    Real {
        slug: "notion",
        shape: Shape {
            authorize: "/api.notion.com/v1/oauth/authorize",
            asked: &[("scope", "read write"), ("owner", "user")],
            has_pkce: true,
            token: "/api.notion.com/v1/oauth/token",
            refresh: "/api.notion.com/v1/oauth/token",
            is_header: true,
            is_json: true,
            rotates: true,
            api: "/api.notion.com/x",
        },
    },
    Real {
        slug: "figma",
        shape: Shape {
            authorize: "/www.figma.com/oauth",
            asked: &[("scope", "read,write")],
            has_pkce: false,
            token: "/api.figma.com/v1/oauth/token",
            refresh: "/api.figma.com/v1/oauth/refresh",
            is_header: true,
            is_json: false,
            rotates: false,
            api: "/api.figma.com/x",
        },
    },
];

async fn provider(real: &Real) -> Strict {
    let provider = Provider::new(real.shape);
    Strict::start(move |request| provider.answer(request))
        .await
        .unwrap()
}

fn credentials(secret: &str) -> Value {
    json!({
        "type": "OAUTH2", "client_id": CLIENT_ID, "client_secret": secret,
        "scopes": "read,write",
    })
}

/// From the click to the provider's redirect, and the browser's cookie.
async fn allow(app: &TestApp, strict: &Strict, real: &Real) -> (String, String) {
    let start = app.begin(real.slug, &app.connect_session().await).await;
    assert_eq!(start.status, 302, "{start:?}");
    let location = start.header("location").unwrap();
    let page = format!("{}{}?", strict.url(), real.shape.authorize);
    assert!(location.starts_with(&page), "{location}");
    let allowed = follow(app, location).await;
    assert_eq!(allowed.status, 302, "{:?}", strict.refusals());
    let back = allowed.header("location").unwrap().to_owned();
    (back, start.header("set-cookie").unwrap().to_owned())
}

/// From the click to the callback's page.
async fn authorise(app: &TestApp, strict: &Strict, real: &Real) -> Reply {
    let (back, cookie) = allow(app, strict, real).await;
    app.come_back(&back, Some(&cookie)).await
}

/// Nothing is cached, so that what the database says counts at once.
const UNCACHED: [(&str, &str); 1] = [("LINKSPAN_CACHE_TTL_MS", "0")];

#[tokio::test(flavor = "multi_thread")]
async fn every_template_connects_calls_and_refreshes() {
    for real in REAL {
        let (slug, strict) = (real.slug, provider(&real).await);
        let (_folder, app) = start_at(&strict, &[slug], &UNCACHED).await;
        set_up(&app, slug, credentials(CLIENT_SECRET)).await;
        let page = authorise(&app, &strict, &real).await;
        assert_eq!(page.status, 200, "{slug}: {page:?} {:?}", strict.refusals());

        let listed = app.get("/connections").await.json();
        let id = listed["connections"][0]["connection_id"].as_str().unwrap();
        let before = full(&app, slug, id).await;
        assert_eq!(before["credentials"]["type"], "OAUTH2", "{before}");
        let workspace = before["connection_config"].get("workspace_id");
        let is_kept = slug == "notion";
        assert_eq!(workspace, is_kept.then(|| json!("w-7")).as_ref(), "{slug}");
        let first = called(&app, &strict, &real, id).await;
        assert_eq!(first, before["credentials"]["access_token"], "{slug}");
        assert_eq!(strict.requests_to(real.shape.token).len(), 1, "{slug}");

        // The second time spends what the first one brought.
        let mut last = first;
        for _ in 0..2 {
            shift(&app, slug, id, EXPIRED).await;
            let asked = strict.requests_to(real.shape.refresh).len();
            let token = called(&app, &strict, &real, id).await;
            assert_ne!(token, last, "{slug}");
            assert_eq!(called(&app, &strict, &real, id).await, token, "{slug}");
            let again = strict.requests_to(real.shape.refresh).len();
            assert_eq!(again, asked + 1, "{slug}: one refresh is enough");
            last = token;
        }
        let after = full(&app, slug, id).await["credentials"].clone();
        let is_another = after["refresh_token"] != before["credentials"]["refresh_token"];
        assert_eq!(is_another, real.shape.rotates, "{slug}");
        let of = (slug, id, "/x");
        expect_one_refresh(&app, &strict, of, (real.shape.refresh, 1)).await;
        assert_eq!(strict.refusals(), [], "{slug}");
        delete(&app, slug, id).await;
        assert_eq!(count(&app).await, 0);
    }
}

/// Calls the API, which takes it, and gives the token that arrived there.
async fn called(app: &TestApp, strict: &Strict, real: &Real, id: &str) -> Value {
    let reply = call(app, real.slug, id, "/x?a=1", None).await;
    assert_eq!(reply.status, 200, "{}: {:?}", real.slug, strict.refusals());
    let calls = strict.requests_to(real.shape.api);
    let last = calls.last().unwrap();
    assert_eq!(last.raw_query, "a=1");
    let header = last.header("authorization").unwrap();
    header.strip_prefix("Bearer ").unwrap().into()
}

fn text(page: &Reply) -> String {
    String::from_utf8_lossy(&page.body).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_and_leaves_nothing() {
    for real in REAL {
        let (slug, strict) = (real.slug, provider(&real).await);
        let (_folder, app) = start_at(&strict, &[slug], &[]).await;
        set_up(&app, slug, credentials("planted-wrong")).await;
        let page = authorise(&app, &strict, &real).await;
        assert_eq!(page.status, 400, "{page:?}");
        assert_eq!(strict.take_refusals()[0].reason, "this client is unknown");
        let change = json!({ "credentials": credentials(CLIENT_SECRET) });
        let path = format!("/integrations/{slug}");
        let changed = app.call(http::Method::PATCH, &path, change).await;
        assert_eq!(changed.status, 200, "{changed:?}");

        let (back, cookie) = allow(&app, &strict, &real).await;
        let page = app
            .come_back(&back.replace("code=code", "code=bad"), Some(&cookie))
            .await;
        assert!(
            page.status == 400 && text(&page).contains("the code is not good"),
            "{page:?}"
        );
        assert_eq!(strict.take_refusals().len(), 1, "{slug}");
        let (back, cookie) = allow(&app, &strict, &real).await;
        let denied = back.replace("code=", "error=access_denied&not_code=");
        let asked = strict.requests_to(real.shape.token).len();
        let page = app.come_back(&denied, Some(&cookie)).await;
        assert!(
            page.status == 400 && text(&page).contains("access_denied"),
            "{page:?}"
        );
        assert_eq!(strict.requests_to(real.shape.token).len(), asked);

        let json = |body: &'static str| Answer::new(200, "application/json", body);
        for answer in [
            Answer::garbage(),
            json(""),
            json("{\"ok\":true}"),
            json("{\"error\":\"bad_verification_code\"}"),
            Answer::new(500, "text/html", "<html>oops"),
        ] {
            strict.misbehave(real.shape.token, Misbehaviour::Answer(answer.clone()));
            let page = authorise(&app, &strict, &real).await;
            let told = text(&page);
            assert!(
                page.status == 400 && told.contains("token_err") && !told.contains("planted"),
                "{slug} {answer:?}: {told}"
            );
            strict.behave();
        }
        assert_eq!(strict.refusals(), [], "{slug}");
        assert_eq!(count(&app).await, 0, "{slug}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_is_given_up() {
    let [.., real] = REAL;
    let strict = provider(&real).await;
    let (_folder, app) = start_at(&strict, &[real.slug], &[IMPATIENT]).await;
    set_up(&app, real.slug, credentials(CLIENT_SECRET)).await;
    strict.misbehave(real.shape.token, Misbehaviour::Hang);
    let page = authorise(&app, &strict, &real).await;
    let told = text(&page);
    assert_eq!(page.status, 400, "{page:?}");
    assert!(
        told.contains("token_err") && told.contains("did not answer in time"),
        "{told}"
    );
    assert_eq!(count(&app).await, 0);
}
