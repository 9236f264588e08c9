//! OAUTH1: each real template goes the whole way with a provider that verifies
//! every signature.

use linkspan_simulator::strict::oauth1::{Consumer, Method, Paths, Provider};
use linkspan_simulator::strict::{Answer, Misbehaviour, Strict};
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

use super::{IMPATIENT, call, count, delete, follow, full, set_up, start_at};

const SECRET: &str = "planted&consumer secret";

/// A template, and how its provider is.
struct Real {
    slug: &'static str,
    method: Method,
    paths: Paths,
    form: &'static [(&'static str, &'static str)],
}

const REAL: [Real; 4] = [
    Real {
        slug: "twitter",
        method: Method::HmacSha1,
        paths: Paths {
            request: "/api.twitter.com/oauth/request_token",
            authorize: "/api.twitter.com/oauth/authorize",
            access: "/api.twitter.com/oauth/access_token",
            api: "/api.twitter.com/1.1/",
        },
        form: &[("x_auth_access_type", "write")],
    },
    Real {
        slug: "trello",
        method: Method::HmacSha1,
        paths: Paths {
            request: "/trello.com/1/OAuthGetRequestToken",
            authorize: "/trello.com/1/OAuthAuthorizeToken",
            access: "/trello.com/1/OAuthGetAccessToken",
            api: "/api.trello.com/1/",
        },
        form: &[],
    },
    Real {
        slug: "smugmug",
        method: Method::Plaintext,
        paths: Paths {
            request: "/api.smugmug.com/services/oauth/1.0a/getRequestToken",
            authorize: "/api.smugmug.com/services/oauth/1.0a/authorize",
            access: "/api.smugmug.com/services/oauth/1.0a/getAccessToken",
            api: "/www.smugmug.com/api/",
        },
        form: &[],
    },
    Real {
        slug: "garmin",
        method: Method::HmacSha1,
        paths: Paths {
            request: "/connectapi.garmin.com/oauth-service/oauth/request_token",
            authorize: "/connect.garmin.com/oauthConfirm",
            access: "/connectapi.garmin.com/oauth-service/oauth/access_token",
            api: "/apis.garmin.com/wellness/",
        },
        form: &[],
    },
];

async fn provider(real: &Real) -> Strict {
    let consumer = Consumer {
        key: "consumer 1".to_owned(),
        secret: SECRET.to_owned(),
        method: real.method,
        realm: None,
    };
    let provider = Provider::new(consumer, real.paths.clone(), real.form);
    Strict::start(move |request| provider.answer(request))
        .await
        .unwrap()
}

fn credentials(scopes: Option<&str>) -> Value {
    json!({ "type": "OAUTH1", "client_id": "consumer 1", "client_secret": SECRET, "scopes": scopes })
}

/// From the click to the callback's page.
async fn authorise(app: &TestApp, slug: &str) -> Reply {
    let start = app.begin(slug, &app.connect_session().await).await;
    assert_eq!(start.status, 302, "{start:?}");
    let allowed = follow(app, start.header("location").unwrap()).await;
    let back = allowed.header("location").unwrap();
    app.come_back(back, start.header("set-cookie")).await
}

async fn connection(app: &TestApp) -> String {
    let listed = app.get("/connections").await.json();
    listed["connections"][0]["connection_id"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_template_connects_and_signs_its_calls() {
    for real in REAL {
        let (slug, strict) = (real.slug, provider(&real).await);
        let (_folder, app) = start_at(&strict, &[slug], &[]).await;
        set_up(&app, slug, credentials(Some("read,write"))).await;
        let page = authorise(&app, slug).await;
        assert_eq!(page.status, 200, "{slug}: {page:?} {:?}", strict.refusals());
        let pages = strict.requests_to(real.paths.authorize);
        let scope = pages[0].query.iter().find(|(name, _)| name == "scope");
        let separator = if matches!(slug, "twitter" | "garmin") {
            " "
        } else {
            ","
        };
        assert_eq!(
            scope.unwrap().1,
            ["read", "write"].join(separator),
            "{slug}"
        );

        let id = connection(&app).await;
        let shown = full(&app, slug, &id).await["credentials"].clone();
        assert_eq!(shown["type"], "OAUTH1", "{shown}");
        assert_eq!(shown["raw"]["user_id"], "7", "{shown}");
        let path = real.paths.api.split_once('/').unwrap().1;
        let path = &path[path.find('/').unwrap()..];
        let path = format!("{path}items?b=%2F+x&a=1&a=%C3%A9&plain");
        let answer = call(&app, slug, &id, &path, None).await;
        assert_eq!(answer.status, 200, "{slug}: {:?}", strict.refusals());
        form_is_signed(&app, &real, &id, &path).await;
        redirects_are_signed(&app, &strict, &real, (&id, &path)).await;
        assert_eq!(strict.refusals(), [], "{slug}");
        delete(&app, slug, &id).await;
        assert_eq!(count(&app).await, 0);
    }
}

/// A form is signed with the rest; another body is not.
async fn form_is_signed(app: &TestApp, real: &Real, id: &str, path: &str) {
    for (kind, body) in [
        (
            "application/x-www-form-urlencoded",
            "status=a+b%26c&status=%2B",
        ),
        ("application/json", "{\"status\":\"a b\"}"),
    ] {
        let request = http::Request::post(app.url(&format!("/proxy{path}")))
            .header("authorization", super::bearer(app))
            .header("provider-config-key", real.slug)
            .header("connection-id", id)
            .header("content-type", kind)
            .body(body.into());
        let answer = app.send(request.unwrap()).await;
        assert_eq!(answer.status, 200, "{} {kind}: {answer:?}", real.slug);
    }
}

/// A signature is good for one address and method: where a redirect leads the call
/// has another one, without the form where that is dropped.
async fn redirects_are_signed(app: &TestApp, strict: &Strict, real: &Real, of: (&str, &str)) {
    let (id, path) = of;
    let from = format!("{}moved", real.paths.api);
    let to = format!("{}items?c=3", real.paths.api);
    let base = path.split_once("items").unwrap().0;
    for (status, method) in [(307, "POST"), (303, "GET")] {
        let moved = Answer::new(status, "text/plain", "").with_header("location", &to);
        strict.misbehave(&from, Misbehaviour::Answer(moved));
        let request = http::Request::post(app.url(&format!("/proxy{base}moved?b=1")))
            .header("authorization", super::bearer(app))
            .header("provider-config-key", real.slug)
            .header("connection-id", id)
            .header("content-type", "application/x-www-form-urlencoded")
            .body("status=a+b".into());
        let answer = app.send(request.unwrap()).await;
        strict.behave();
        assert_eq!(
            answer.status,
            200,
            "{} {status}: {:?}",
            real.slug,
            strict.refusals()
        );
        let arrived = strict.requests().pop().unwrap();
        assert_eq!((&*arrived.method, &*arrived.raw_query), (method, "c=3"));
        let is_form = arrived.header("content-type").is_some();
        assert_eq!(is_form, method == "POST", "{arrived:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_token_signs_too() {
    let [real, ..] = REAL;
    let strict = provider(&real).await;
    let (_folder, app) = start_at(&strict, &[real.slug], &[]).await;
    set_up(&app, real.slug, credentials(None)).await;
    let body = json!({
        "provider_config_key": real.slug,
        "connection_id": "imported",
        "credentials": { "type": "OAUTH1", "oauth_token": "t", "oauth_token_secret": "s" },
    });
    let made = app.post("/connections", body).await;
    assert_eq!(made.status, 200, "{made:?}");
    let answer = call(&app, real.slug, "imported", "/1.1/x", None).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(strict.refusals()[0].reason, "the token is unknown");
    let sent = strict.requests_to(real.paths.api);
    assert!(
        sent[0]
            .header("authorization")
            .unwrap()
            .contains("oauth_token=\"t\"")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_told_and_leaves_nothing() {
    let [real, ..] = REAL;
    let strict = provider(&real).await;
    let (_folder, app) = start_at(&strict, &[real.slug], &[]).await;
    let mut wrong = credentials(None);
    wrong["client_secret"] = "planted-wrong".into();
    set_up(&app, real.slug, wrong).await;
    let refused = begin_fails(&app, real.slug).await;
    assert!(
        refused.contains("token_err") && refused.contains("signature"),
        "{refused}"
    );
    assert!(!refused.contains("planted"), "{refused}");
    let change = json!({ "credentials": credentials(None) });
    let path = format!("/integrations/{}", real.slug);
    let changed = app.call(http::Method::PATCH, &path, change).await;
    assert_eq!(changed.status, 200, "{changed:?}");

    for answer in [
        Answer::garbage(),
        Answer::new(200, "text/plain", ""),
        Answer::new(200, "text/plain", "oauth_token=only"),
        Answer::new(401, "text/plain", "Failed to validate oauth signature"),
        Answer::new(500, "text/html", "<html>oops"),
    ] {
        strict.misbehave(real.paths.request, Misbehaviour::Answer(answer.clone()));
        let page = begin_fails(&app, real.slug).await;
        assert!(page.contains("token_err"), "{answer:?}: {page}");
        strict.behave();
        strict.misbehave(real.paths.access, Misbehaviour::Answer(answer));
        let page = authorise(&app, real.slug).await;
        assert_eq!(page.status, 400, "{page:?}");
        strict.behave();
    }
    assert_eq!(count(&app).await, 0);
}

async fn begin_fails(app: &TestApp, slug: &str) -> String {
    let page = app.begin(slug, &app.connect_session().await).await;
    assert_eq!(page.status, 400, "{page:?}");
    String::from_utf8(page.body.to_vec()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_hangs_is_given_up() {
    let [real, ..] = REAL;
    let strict = provider(&real).await;
    let (_folder, app) = start_at(&strict, &[real.slug], &[IMPATIENT]).await;
    set_up(&app, real.slug, credentials(None)).await;
    strict.misbehave("/", Misbehaviour::Hang);
    let told = begin_fails(&app, real.slug).await;
    assert!(
        told.contains("token_err") && told.contains("did not answer in time"),
        "{told}"
    );
    assert_eq!(count(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_must_fit_the_flow() {
    let [real, ..] = REAL;
    let strict = provider(&real).await;
    let (_folder, app) = start_at(&strict, &[real.slug], &[]).await;
    set_up(&app, real.slug, credentials(None)).await;
    let another = app.begin(real.slug, &app.connect_session().await).await;
    let another = follow(&app, another.header("location").unwrap()).await;
    let another: url::Url = another.header("location").unwrap().parse().unwrap();
    let theirs: Vec<_> = another
        .query_pairs()
        .filter(|(name, _)| name != "state")
        .collect();
    for (params, says) in [
        (
            json!({ "oauth_token": theirs[0].1, "oauth_verifier": theirs[1].1 }),
            "another authorisation",
        ),
        (json!({ "denied": "x" }), "denied"),
        (json!({ "oauth_problem": "user_refused" }), "user_refused"),
        (json!({}), "neither"),
    ] {
        let start = app.begin(real.slug, &app.connect_session().await).await;
        let allowed = follow(&app, start.header("location").unwrap()).await;
        let mut back: url::Url = allowed.header("location").unwrap().parse().unwrap();
        let state = back
            .query_pairs()
            .find(|(name, _)| name == "state")
            .unwrap()
            .1
            .into_owned();
        back.query_pairs_mut().clear().append_pair("state", &state);
        for (name, value) in params.as_object().unwrap() {
            back.query_pairs_mut()
                .append_pair(name, value.as_str().unwrap());
        }
        let page = app
            .come_back(back.as_str(), start.header("set-cookie"))
            .await;
        let text = String::from_utf8(page.body.to_vec()).unwrap();
        assert!(
            page.status == 400 && text.contains("callback_err"),
            "{text}"
        );
        assert!(text.contains(says), "{text}");
    }
    assert!(strict.requests_to(real.paths.access).is_empty());
    assert_eq!(count(&app).await, 0);
}
