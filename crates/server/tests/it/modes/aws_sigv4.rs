//! AWS_SIGV4.

use std::time::Duration;

use http::{Method, Request};
use linkspan_simulator::strict::aws_sigv4::{SERVICE_PATH, Settings, start as start_provider};
use linkspan_simulator::strict::{Answer, Misbehaviour, Strict};
use linkspan_testkit::{Reply, TestApp, relocate};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::expired::expect_one_refresh;
use super::{IMPATIENT, call, count, delete, full, id, refreshed};

const ROLE: &str = "arn:aws:iam::123456789012:role/Linkspan";

async fn begin(life: u64) -> (Strict, TempDir, TestApp) {
    let provider = start_provider(Settings {
        key: ("AKIA1".to_owned(), "key-secret".to_owned()),
        role_arn: ROLE.to_owned(),
        life: Duration::from_secs(life),
    });
    let provider = provider.await.unwrap();
    let url = provider.url();
    let folder = tempfile::tempdir().unwrap();
    // On this machine there is no TLS, and AWS is elsewhere.
    let yaml = relocate("aws-sigv4", &url).replace("^https://", "^https?://");
    let yaml = format!("{yaml}token_url: {url}/sts.${{connectionConfig.region}}.amazonaws.com/\n");
    std::fs::write(folder.path().join("aws-sigv4.yaml"), yaml).unwrap();
    let path = folder.path().to_str().unwrap();
    let settings = [("LINKSPAN_PROVIDERS_DIR", path), IMPATIENT];
    let app = TestApp::start_with(&settings).await;
    (provider, folder, app)
}

async fn integrate(app: &TestApp, key: &str, config: Value) {
    let body = json!({ "unique_key": key, "provider": "aws-sigv4", "integration_config": config });
    let reply = app.post("/integrations", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

fn builtin(service: &str) -> Value {
    json!({ "service": service, "defaultRegion": "eu-west-1", "awsAccessKeyId": "AKIA1",
        "awsSecretAccessKey": "key-secret" })
}

async fn connect(app: &TestApp, key: &str, more: &str, body: Value) -> Reply {
    let token = app.connect_session().await;
    let path = format!("/auth/aws-sigv4/{key}?connect_session_token={token}{more}");
    app.post(&path, body).await
}

/// A call with a body of its own.
async fn send(
    app: &TestApp,
    key: &str,
    connection: &str,
    path: &str,
    body: impl Into<bytes::Bytes>,
) -> Reply {
    let request = Request::builder()
        .method(Method::PUT)
        .uri(app.url(&format!("/proxy{path}")))
        .header(
            "authorization",
            format!("Bearer {}", app.dev.api_key.expose_secret()),
        )
        .header("provider-config-key", key)
        .header("connection-id", connection)
        .header("content-type", "application/octet-stream");
    app.send(request.body(body.into()).unwrap()).await
}

fn key_of(provider: &Strict, path: &str) -> String {
    let seen = provider.requests_to(path);
    let header = seen.last().unwrap().header("authorization").unwrap();
    header.split(['=', '/']).nth(1).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_is_assumed_and_its_keys_sign_every_call() {
    let (provider, _folder, app) = begin(3600).await;
    let custom = json!({ "service": "lambda", "stsMode": "custom", "stsAuthType": "api_key",
        "stsEndpointUrl": format!("{}{SERVICE_PATH}", provider.url()), "stsApiKey": "sts-key",
        "defaultRegion": "us-east-1" });
    for (key, config, region, host, keys) in [
        (
            "s3",
            builtin("s3"),
            "eu-west-2",
            "/s3.eu-west-2.amazonaws.com",
            "/sts.",
        ),
        (
            "dynamodb",
            builtin("dynamodb"),
            "",
            "/dynamodb.eu-west-1.amazonaws.com",
            "/sts.",
        ),
        (
            "lambda",
            custom,
            "",
            "/lambda.us-east-1.amazonaws.com",
            SERVICE_PATH,
        ),
    ] {
        integrate(&app, key, config).await;
        let entered = json!({ "role_arn": ROLE, "region": region });
        let made = connect(&app, key, "", entered).await;
        assert_eq!(
            made.status,
            200,
            "{key}: {made:?} {:?}",
            provider.refusals()
        );
        let connection = id(&made);
        let full = full(&app, key, &connection).await;
        assert_eq!(full["credentials"]["type"], "AWS_SIGV4");
        assert_eq!(full["credentials"]["role_arn"], ROLE);
        let external_id = full["connection_config"]["external_id"].as_str().unwrap();
        assert!(!external_id.is_empty());

        for path in ["/bucket/a%20b+c/d?list-type=2&prefix=x%2Fy&empty", "/"] {
            let reply = call(&app, key, &connection, path, None).await;
            assert_eq!(
                reply.status,
                200,
                "{key} {path}: {reply:?} {:?}",
                provider.refusals()
            );
        }
        let first = key_of(&provider, host);
        let large = vec![7; 3 * 1024 * 1024];
        for body in [b"{\"a\":1}".to_vec(), large] {
            let reply = send(&app, key, &connection, "/bucket/o", body).await;
            assert_eq!(
                reply.status,
                200,
                "{key}: {reply:?} {:?}",
                provider.refusals()
            );
        }
        redirects_are_signed(&app, &provider, (key, &connection), host).await;
        assert_eq!(refreshed(&app, key, &connection).await.status, 200);
        assert_eq!(
            call(&app, key, &connection, "/bucket", None).await.status,
            200
        );
        assert_ne!(key_of(&provider, host), first);
        expect_one_refresh(&app, &provider, (key, &*connection, "/bucket"), (keys, 1)).await;
        delete(&app, key, &connection).await;
    }
    assert_eq!(provider.refusals(), []);
}

/// Within the host a redirected call is signed for where it goes; another host gets
/// neither the signature nor the session's token.
async fn redirects_are_signed(
    app: &TestApp,
    provider: &Strict,
    (key, connection): (&str, &str),
    host: &str,
) {
    let from = format!("{host}/moved");
    let moved = |to: &str| Answer::new(307, "text/plain", "").with_header("location", to);
    let within = moved(&format!("{host}/bucket/o?partNumber=2"));
    provider.misbehave(&from, Misbehaviour::Answer(within));
    let reply = send(app, key, connection, "/moved", "body").await;
    assert_eq!(reply.status, 200, "{key}: {:?}", provider.refusals());
    let arrived = provider.requests().pop().unwrap();
    assert_eq!(arrived.raw_query, "partNumber=2");
    let other = Strict::start(|_| Ok(Answer::json(&json!({ "ok": true })))).await;
    let other = other.unwrap();
    let away = moved(&format!("{}/elsewhere", other.url()));
    provider.misbehave(&from, Misbehaviour::Answer(away));
    let reply = call(app, key, connection, "/moved", None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let arrived = other.requests().pop().unwrap();
    for name in ["authorization", "x-amz-security-token"] {
        assert_eq!(arrived.header(name), None, "{key}");
    }
    provider.behave();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_external_id_is_the_sessions_and_not_the_browsers() {
    let (provider, _folder, app) = begin(3600).await;
    integrate(&app, "aws", builtin("s3")).await;
    let session = json!({ "end_user": { "id": "user-1" } });
    let token = app.post("/connect/sessions", session).await.json()["data"]["token"].clone();
    let token = token.as_str().unwrap();
    let bearer = secrecy::SecretString::from(token);
    let shown = app
        .call_as(&bearer, Method::GET, "/connect/session", &[], Value::Null)
        .await;
    let defaults = shown.json()["data"]["integrations_config_defaults"].clone();
    let external_id = defaults["aws"]["connection_config"]["external_id"].clone();
    assert!(external_id.is_string(), "{defaults}");
    let more = "&params[external_id]=theirs&params[base_url]=http://evil.example";
    let path = format!("/auth/aws-sigv4/aws?connect_session_token={token}{more}");
    let connection = id(&app.post(&path, json!({ "role_arn": ROLE })).await);
    let config = full(&app, "aws", &connection).await["connection_config"].clone();
    let expected = json!({ "external_id": external_id, "region": "eu-west-1", "service": "s3" });
    assert_eq!(config, expected);
    let seen = provider.requests_to("/sts.");
    let body = String::from_utf8(seen[0].body.to_vec()).unwrap();
    assert!(body.contains(&format!("ExternalId={}", external_id.as_str().unwrap())));

    // A reconnected connection keeps the id that its role trusts.
    let again = json!({ "connection_id": connection, "integration_id": "aws" });
    let token =
        app.post("/connect/sessions/reconnect", again).await.json()["data"]["token"].clone();
    let path = format!(
        "/auth/aws-sigv4/aws?connect_session_token={}",
        token.as_str().unwrap()
    );
    assert_eq!(
        app.post(&path, json!({ "role_arn": ROLE })).await.status,
        200
    );
    let after = full(&app, "aws", &connection).await["connection_config"].clone();
    assert_eq!(after["external_id"], external_id);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_have_expired_are_replaced_before_a_call() {
    let (provider, _folder, app) = begin(1).await;
    integrate(&app, "aws", builtin("s3")).await;
    let body = json!({ "provider_config_key": "aws", "connection_id": "c-1",
        "connection_config": { "external_id": "ext-1" },
        "credentials": { "type": "AWS_SIGV4", "role_arn": ROLE } });
    let imported = app.post("/connections", body).await;
    assert_eq!(imported.status, 200, "{imported:?}");
    let host = "/s3.eu-west-1.amazonaws.com";
    assert_eq!(call(&app, "aws", "c-1", "/b", None).await.status, 200);
    let first = key_of(&provider, host);
    while key_of(&provider, host) == first {
        assert_eq!(call(&app, "aws", "c-1", "/b", None).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_the_keys_away_is_told_and_nothing_stored() {
    let (provider, _folder, app) = begin(3600).await;
    integrate(&app, "aws", builtin("s3")).await;
    integrate(
        &app,
        "keyless",
        json!({ "service": "s3", "defaultRegion": "eu-west-1" }),
    )
    .await;
    let role = json!({ "role_arn": ROLE });
    let other = json!({ "role_arn": "arn:aws:iam::123456789012:role/Other" });
    for (key, entered, status, code) in [
        ("aws", json!({ "role_arn": "planted" }), 400, "invalid_body"),
        (
            "aws",
            json!({ "role_arn": "" }),
            400,
            "missing_aws_sigv4_role_arn",
        ),
        ("aws", json!({}), 400, "invalid_body"),
        (
            "keyless",
            role.clone(),
            400,
            "missing_aws_sigv4_builtin_credentials",
        ),
        ("aws", other, 502, "aws_sigv4_sts_request_failed"),
    ] {
        let refused = connect(&app, key, "", entered.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (status, code),
            "{entered}"
        );
        assert!(
            !refused.json().to_string().contains("planted"),
            "{refused:?}"
        );
    }
    for misbehaviour in [
        Misbehaviour::Refuse,
        Misbehaviour::Garbage,
        Misbehaviour::Answer(Answer::new(200, "text/xml", "")),
    ] {
        provider.misbehave("/sts.", misbehaviour);
        let refused = connect(&app, "aws", "", role.clone()).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (502, "aws_sigv4_sts_request_failed")
        );
    }
    provider.misbehave("/sts.", Misbehaviour::Hang);
    let refused = connect(&app, "aws", "", role.clone()).await;
    assert_eq!(
        (refused.status.as_u16(), refused.code().as_str()),
        (504, "upstream_timeout")
    );
    let import = json!({ "provider_config_key": "aws",
        "credentials": { "type": "AWS_SIGV4", "role_arn": ROLE } });
    assert_eq!(
        app.post("/connections", import).await.code(),
        "missing_aws_sigv4_external_id"
    );
    assert_eq!(count(&app).await, 0);
}
