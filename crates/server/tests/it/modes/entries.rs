//! API_KEY, BASIC and NONE: real templates, whose credentials are what a person
//! enters.

use linkspan_simulator::SeenRequest;
use linkspan_simulator::strict::{Answer, Misbehaviour, Refused, Strict};
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use super::{IMPATIENT, call, connect, count, delete, full, id, integrate, start_at};

/// A template, what is entered, and what then has to arrive.
struct Real {
    slug: &'static str,
    /// The connection's configuration, as a query has it.
    params: &'static str,
    entered: Value,
    /// The call that shows whether the credentials work, if there is one.
    verified: Option<(&'static str, &'static str)>,
    /// Where a call of `/v9/things?a=1` arrives.
    called: &'static str,
    headers: &'static [(&'static str, &'static str)],
    /// The credentials in the query.
    query: &'static [(&'static str, &'static str)],
}

/// By a header of its own, as a bearer token, and in the query.
fn keys() -> [Real; 3] {
    [
        Real {
            slug: "anthropic",
            params: "&params[version]=2023-06-01",
            entered: json!({ "apiKey": "sk-ant-api-1" }),
            verified: Some(("GET", "/api.anthropic.com/v1/models")),
            called: "/api.anthropic.com/v9/things",
            headers: &[
                ("x-api-key", "sk-ant-api-1"),
                ("anthropic-version", "2023-06-01"),
            ],
            query: &[],
        },
        Real {
            slug: "clerk",
            params: "",
            entered: json!({ "apiKey": "sk_test_abc1" }),
            verified: Some(("GET", "/api.clerk.com/v1/jwks")),
            called: "/api.clerk.com/v9/things",
            headers: &[("authorization", "Bearer sk_test_abc1")],
            query: &[],
        },
        Real {
            slug: "canny",
            params: "",
            entered: json!({ "apiKey": "a1f5937c-82df" }),
            verified: Some(("POST", "/canny.io/api/v1/boards/list")),
            called: "/canny.io/api/v1/v9/things",
            headers: &[],
            query: &[("apiKey", "a1f5937c-82df")],
        },
    ]
}

/// A user name alone, a pair, and a header that says the pair in another way.
fn pairs() -> [Real; 3] {
    [
        Real {
            slug: "stripe-api-key",
            params: "&params[context]=acct_1aTnTtAAB0hHJ26p",
            entered: json!({ "username": "rk_test_12345678abcd12345678" }),
            verified: None,
            called: "/api.stripe.com/v9/things",
            headers: &[
                // "rk_test_12345678abcd12345678:"
                (
                    "authorization",
                    "Basic cmtfdGVzdF8xMjM0NTY3OGFiY2QxMjM0NTY3ODo=",
                ),
                ("stripe-context", "acct_1aTnTtAAB0hHJ26p"),
            ],
            query: &[],
        },
        Real {
            slug: "twilio",
            params: "",
            entered: json!({ "username": "AC0123456789abcdef0123456789abcdef", "password": "t: 1" }),
            verified: Some((
                "GET",
                "/api.twilio.com/2010-04-01/Accounts/AC0123456789abcdef0123456789abcdef/Messages.json",
            )),
            called: "/api.twilio.com/v9/things",
            // "AC0123456789abcdef0123456789abcdef:t: 1"
            headers: &[(
                "authorization",
                "Basic QUMwMTIzNDU2Nzg5YWJjZGVmMDEyMzQ1Njc4OWFiY2RlZjp0OiAx",
            )],
            query: &[],
        },
        Real {
            slug: "zendesk-api-key",
            params: "&params[subdomain]=acme",
            entered: json!({ "username": "ann@example.com", "password": "tok1" }),
            verified: Some(("GET", "/acme.zendesk.com/api/v2/users.json")),
            called: "/acme.zendesk.com/v9/things",
            // "ann@example.com/token:tok1"
            headers: &[(
                "authorization",
                "Basic YW5uQGV4YW1wbGUuY29tL3Rva2VuOnRvazE=",
            )],
            query: &[],
        },
    ]
}

/// One template without credentials that has no API of its own, and one that has.
fn open() -> [Real; 2] {
    let real = |slug, params, called| Real {
        slug,
        params,
        entered: Value::Null,
        verified: None,
        called,
        headers: &[],
        query: &[],
    };
    [
        real("unauthenticated", "", "/given/v9/things"),
        real(
            "youcanbook-me-public",
            "&params[subdomain]=acme",
            "/api.youcanbook.me/v9/things",
        ),
    ]
}

/// Names under which credentials may travel; those that a template does not
/// name must not.
const CARRIERS: [&str; 3] = ["authorization", "x-api-key", "cookie"];

/// Takes a request that has exactly the credentials that it must have.
fn answer(real: &Real, request: &SeenRequest) -> Result<Answer, Refused> {
    for (name, value) in real.headers {
        if request.header(name) != Some(*value) {
            return Err(Refused::call(format!("{name} is not what it must be")));
        }
    }
    for name in CARRIERS {
        let is_wanted = real.headers.iter().any(|(wanted, _)| *wanted == name);
        if !is_wanted && request.header(name).is_some() {
            return Err(Refused::request(format!("{name} has no place here")));
        }
    }
    for (name, value) in real.query {
        let mut given = request.query.iter().filter(|(known, _)| known == name);
        let is_good = given.next().is_some_and(|(_, given)| given == value);
        if !is_good || given.next().is_some() {
            return Err(Refused::call(format!("{name} is not what it must be")));
        }
    }
    Ok(Answer::json(&json!({ "ok": true })))
}

async fn provider(real: Real) -> Strict {
    let rules = move |request: &SeenRequest| answer(&real, request);
    Strict::start(rules).await.unwrap()
}

/// From what is entered to a call and the end. `route` ends before the slug.
async fn goes_the_whole_way(real: Real, route: &str, kind: Option<&str>) {
    let (slug, called, verified) = (real.slug, real.called, real.verified);
    let (params, entered) = (real.params, real.entered.clone());
    let mut query = vec![("a".to_owned(), "1".to_owned())];
    let own = real.query.iter();
    query.extend(own.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let strict = provider(real).await;
    let (_folder, app) = start_at(&strict, &[slug], &[]).await;
    integrate(&app, slug, "").await;
    let route = format!("{route}/{slug}");
    let connection = id(&connect(&app, &route, params, entered.clone()).await);
    let asked = strict.requests();
    let asked: Vec<_> = asked.iter().map(|r| (&*r.method, &*r.path)).collect();
    assert_eq!(asked, Vec::from_iter(verified), "{slug}");

    let shown = full(&app, slug, &connection).await["credentials"].clone();
    assert_eq!(shown.get("type").and_then(Value::as_str), kind, "{shown}");
    for (name, value) in entered.as_object().into_iter().flatten() {
        assert_eq!(&shown[name], value, "{slug}: {shown}");
    }
    let given = format!("{}/given", strict.url());
    let base = (slug == "unauthenticated").then_some(&*given);
    let reply = call(&app, slug, &connection, "/v9/things?a=1", base).await;
    assert_eq!(reply.status, 200, "{slug}: {:?}", strict.refusals());
    let arrived = strict.requests();
    assert_eq!(arrived.len(), asked.len() + 1, "{slug}");
    let last = arrived.last().unwrap();
    assert_eq!((&*last.method, &*last.path), ("GET", called));
    assert_eq!(last.query, query, "{slug}");
    assert_eq!(strict.refusals(), [], "{slug}");

    delete(&app, slug, &connection).await;
    assert_eq!(count(&app).await, 0);
    let gone = call(&app, slug, &connection, "/v9/things?a=1", base).await;
    let told = (gone.status.as_u16(), gone.code());
    assert_eq!(told, (400, "server_error".to_owned()), "{gone:?}");
    assert_eq!(strict.requests().len(), arrived.len(), "{slug}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_travel_as_each_template_says() {
    for real in keys() {
        goes_the_whole_way(real, "/api-auth/api-key", Some("API_KEY")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pairs_travel_as_each_template_says() {
    for real in pairs() {
        goes_the_whole_way(real, "/api-auth/basic", Some("BASIC")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn open_apis_get_no_credentials() {
    for real in open() {
        goes_the_whole_way(real, "/auth/unauthenticated", None).await;
    }
}

/// Credentials that the provider does not take, and good ones while it is ill.
async fn refuses(app: &TestApp, strict: &Strict, route: &str, real: &Real, wrong: Value) {
    let ill = Answer::new(502, "text/html", "<!doctype html><title>planted</title>");
    let nowhere = Answer::new(302, "text/html", "").with_header("location", "/login?planted");
    for (case, misbehaviour, says) in [
        ("wrong", None, "status 401"),
        ("refused", Some(Misbehaviour::Refuse), "status 401"),
        ("a page", Some(Misbehaviour::Answer(ill)), "status 502"),
        ("a login", Some(Misbehaviour::Answer(nowhere)), "status 302"),
        ("silence", Some(Misbehaviour::Hang), "in time"),
    ] {
        let right = misbehaviour.is_some();
        strict.behave();
        if let Some(misbehaviour) = misbehaviour {
            strict.misbehave("/", misbehaviour);
        }
        let body = if right { &real.entered } else { &wrong };
        let before = strict.requests().len();
        let reply = connect(app, route, real.params, body.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, "connection_test_failed"),
            "{case}: {reply:?}"
        );
        let text = String::from_utf8_lossy(&reply.body);
        assert!(
            text.contains(says) && !text.contains("planted"),
            "{case}: {text}"
        );
        assert_eq!(strict.requests().len(), before + 1, "{case}");
        assert_eq!(count(app).await, 0, "{case}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_not_known_to_work_is_not_stored() {
    let [_, clerk, _] = keys();
    let strict = provider(keys().into_iter().nth(1).unwrap()).await;
    let (_folder, app) = start_at(&strict, &[clerk.slug], &[IMPATIENT]).await;
    integrate(&app, clerk.slug, "").await;
    let wrong = json!({ "apiKey": "sk_test_planted" });
    refuses(&app, &strict, "/api-auth/api-key/clerk", &clerk, wrong).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pair_that_is_not_known_to_work_is_not_stored() {
    let [_, twilio, _] = pairs();
    let strict = provider(pairs().into_iter().nth(1).unwrap()).await;
    let (_folder, app) = start_at(&strict, &[twilio.slug], &[IMPATIENT]).await;
    integrate(&app, twilio.slug, "").await;
    let mut wrong = twilio.entered.clone();
    wrong["password"] = "planted-wrong".into();
    refuses(&app, &strict, "/api-auth/basic/twilio", &twilio, wrong).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_template_would_not_send_is_not_asked_about() {
    let [real, ..] = keys();
    let strict = provider(real).await;
    let slugs = ["clerk", "stripe-api-key", "youcanbook-me-public"];
    let (_folder, app) = start_at(&strict, &slugs, &[]).await;
    for slug in slugs {
        integrate(&app, slug, "").await;
    }
    for (route, body, code) in [
        (
            "/api-auth/api-key/clerk",
            json!({ "apiKey": "planted not a key" }),
            "invalid_body",
        ),
        (
            "/api-auth/basic/stripe-api-key",
            json!({ "username": "planted" }),
            "invalid_body",
        ),
        (
            "/auth/unauthenticated/youcanbook-me-public",
            Value::Null,
            "invalid_query_params",
        ),
    ] {
        let reply = connect(&app, route, "", body).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (400, code),
            "{route}: {reply:?}"
        );
        assert!(!String::from_utf8_lossy(&reply.body).contains("planted"));
    }
    assert_eq!(count(&app).await, 0);
    assert!(strict.requests().is_empty());
}
