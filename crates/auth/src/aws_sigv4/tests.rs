use std::sync::Mutex;

use http::{Request as HttpRequest, Response};
use linkspan_providers::Template;
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::{Error, TransportError};

const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/team/Linkspan";

const ASSUMED: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
  <AssumeRoleResult><AssumedRoleUser><Arn>x</Arn></AssumedRoleUser>\
  <Credentials><AccessKeyId>ASIA1</AccessKeyId><SecretAccessKey>s/&amp;+1</SecretAccessKey>\
  <SessionToken>tok==</SessionToken><Expiration>2035-01-02T03:04:05Z</Expiration></Credentials>\
  </AssumeRoleResult></AssumeRoleResponse>";

/// Answers every request alike, and keeps the last.
struct Sts {
    status: u16,
    body: String,
    seen: Mutex<Option<HttpRequest<Vec<u8>>>>,
}

impl Sts {
    fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> HttpRequest<Vec<u8>> {
        self.seen.lock().unwrap().take().unwrap()
    }
}

impl TokenEndpoint for Sts {
    async fn send(
        &self,
        request: HttpRequest<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        *self.seen.lock().unwrap() = Some(request);
        let response = Response::builder().status(self.status);
        Ok(response.body(self.body.clone().into_bytes()).unwrap())
    }
}

async fn log_in(
    added: &str,
    integration: Value,
    connection: Value,
    entered: &[(&str, &str)],
    sts: &Sts,
) -> Result<Finished, Rejected> {
    let yaml = include_str!("../../../../providers/aws-sigv4.yaml");
    let template = Template::parse("aws-sigv4", &format!("{yaml}{added}")).unwrap();
    let integration: Map<String, Value> = serde_json::from_value(integration).unwrap();
    let connection: Map<String, Value> = serde_json::from_value(connection).unwrap();
    let config = Config {
        template: &template,
        connection: &connection,
        integration: &integration,
    };
    let entered = entered.iter();
    let entered = entered.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let entered = entered.collect::<BTreeMap<_, _>>().into();
    super::log_in(None, &config, &entered, None, sts).await
}

fn builtin() -> Value {
    json!({ "service": "s3", "defaultRegion": "us-east-1", "awsAccessKeyId": "AKIA1",
        "awsSecretAccessKey": "hush-key" })
}

fn external() -> Value {
    json!({ "external_id": "ext-1" })
}

fn keys(finished: &Finished) -> (&Login, [Option<String>; 3]) {
    let Credentials::AwsSigV4(login) = &finished.credentials else {
        panic!("{finished:?}");
    };
    let names = [ACCESS_KEY, SECRET_KEY, SESSION_TOKEN];
    let keys = names.map(|name| login.field(name).map(Cow::into_owned));
    (login, keys)
}

#[tokio::test]
async fn aws_is_asked_for_a_role_by_a_signed_request() {
    let sts = Sts::new(200, ASSUMED);
    let entered = [(ROLE, ROLE_ARN), (REGION, "eu-west-1")];
    let finished = log_in("", builtin(), external(), &entered, &sts)
        .await
        .unwrap();
    let (login, found) = keys(&finished);
    assert_eq!(
        found,
        [
            Some("ASIA1".into()),
            Some("s/&+1".into()),
            Some("tok==".into())
        ]
    );
    assert_eq!(
        login.expires_at.unwrap().to_rfc3339(),
        "2035-01-02T03:04:05+00:00"
    );
    let metadata = Value::Object(finished.metadata.clone());
    assert_eq!(metadata, json!({ "region": "eu-west-1", "service": "s3" }));
    assert!(!login.entered.contains_key(EXTERNAL_ID));

    let request = sts.seen();
    assert_eq!(request.uri(), "https://sts.eu-west-1.amazonaws.com/");
    let authorization = request.headers()["authorization"].to_str().unwrap();
    let scope = "/eu-west-1/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date, ";
    assert!(
        authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIA1/"),
        "{authorization}"
    );
    assert!(authorization.contains(scope), "{authorization}");
    let body: BTreeMap<_, _> = url::form_urlencoded::parse(request.body())
        .into_owned()
        .collect();
    assert!(body["RoleSessionName"].starts_with("linkspan-"));
    for (name, expected) in [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", ROLE_ARN),
        ("ExternalId", "ext-1"),
        ("DurationSeconds", "3600"),
    ] {
        assert_eq!(body[name], expected);
    }
}

#[tokio::test]
async fn the_region_is_the_entered_the_connections_or_the_integrations() {
    for (entered, connection, host) in [
        (
            Some("eu-west-1"),
            Some("eu-west-2"),
            "sts.eu-west-1.amazonaws.com",
        ),
        (None, Some("cn-north-1"), "sts.cn-north-1.amazonaws.com.cn"),
        (Some(""), None, "sts.us-east-1.amazonaws.com"),
    ] {
        let mut config = external();
        if let Some(region) = connection {
            config[REGION] = region.into();
        }
        let mut fields = vec![(ROLE, ROLE_ARN)];
        fields.extend(entered.map(|region| (REGION, region)));
        let sts = Sts::new(200, ASSUMED);
        log_in("", builtin(), config, &fields, &sts).await.unwrap();
        assert_eq!(sts.seen().uri().host(), Some(host));
    }
    let sts = Sts::new(200, ASSUMED);
    let own = "token_url: https://vpce-1.sts.${connectionConfig.region}.vpce.amazonaws.com\n";
    log_in(own, builtin(), external(), &[(ROLE, ROLE_ARN)], &sts)
        .await
        .unwrap();
    let uri = sts.seen().uri().to_string();
    assert_eq!(uri, "https://vpce-1.sts.us-east-1.vpce.amazonaws.com/");
}

#[tokio::test]
async fn a_service_of_the_developers_is_asked_as_the_integration_says() {
    let custom = |more: Value| {
        let mut custom = json!({ "service": "s3", "stsMode": "custom",
            "stsEndpointUrl": "https://sts.acme.example/assume", "defaultRegion": "eu-west-1" });
        for (name, value) in more.as_object().unwrap() {
            custom[name] = value.clone();
        }
        custom
    };
    let flat = json!({ "accessKeyId": "A", "secretAccessKey": "S", "sessionToken": "T" });
    let nested = json!({ "credentials": { "access_key_id": "A", "secret_access_key": "S",
        "session_token": "T", "expires_at": "2035-01-01T00:00:00Z" } });
    let mut over = flat.clone();
    over["expiresAt"] = "2020-01-01T00:00:00Z".into();
    for (more, answer, header, life) in [
        (json!({}), &flat, None, Some(LIFE)),
        (json!({}), &over, None, Some(LIFE)),
        (
            json!({ "stsAuthType": "api_key", "stsApiKey": "k-1" }),
            &nested,
            Some(("x-api-key", "k-1")),
            None,
        ),
        (
            json!({ "stsAuthType": "api_key", "stsApiKey": "k-1", "stsAuthHeader": "X-Own" }),
            &flat,
            Some(("x-own", "k-1")),
            Some(LIFE),
        ),
        (
            json!({ "stsAuthType": "basic", "stsAuthUsername": "u", "stsAuthPassword": "p" }),
            &flat,
            Some(("authorization", "Basic dTpw")),
            Some(LIFE),
        ),
    ] {
        let sts = Sts::new(200, answer.to_string());
        let entered = [(ROLE, ROLE_ARN)];
        let finished = log_in("", custom(more), external(), &entered, &sts)
            .await
            .unwrap();
        let (login, found) = keys(&finished);
        assert_eq!(found, ["A", "S", "T"].map(|key| Some(key.to_owned())));
        if let Some(life) = life {
            assert_eq!(login.expires_at.unwrap() - login.issued_at, life);
        }
        let request = sts.seen();
        assert_eq!(request.uri(), "https://sts.acme.example/assume");
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        assert_eq!(
            body,
            json!({ "role_arn": ROLE_ARN, "external_id": "ext-1",
            "region": "eu-west-1", "service": "s3" })
        );
        match header {
            Some((name, value)) => assert_eq!(request.headers()[name], value),
            None => assert_eq!(request.headers().get("authorization"), None),
        }
    }
}

#[tokio::test]
async fn a_service_says_in_many_ways_when_its_keys_expire() {
    let custom = json!({ "service": "s3", "stsMode": "custom",
        "stsEndpointUrl": "https://sts.acme.example/assume", "defaultRegion": "eu-west-1" });
    for (name, at) in [
        ("expiresAt", json!("2035-01-02T03:04:05Z")),
        ("expires_at", json!(2_051_319_845)),
        ("expiration", json!(2_051_319_845_000_i64)),
        ("expiration", json!("2051319845")),
    ] {
        let mut answer = json!({ "accessKeyId": "A", "secretAccessKey": "S", "sessionToken": "T" });
        answer[name] = at.clone();
        let sts = Sts::new(200, answer.to_string());
        let finished = log_in("", custom.clone(), external(), &[(ROLE, ROLE_ARN)], &sts);
        let finished = finished.await.unwrap();
        let expires_at = keys(&finished).0.expires_at.unwrap();
        assert_eq!(expires_at.to_rfc3339(), "2035-01-02T03:04:05+00:00", "{at}");
    }
}

#[tokio::test]
async fn what_is_missing_has_a_code_of_its_own() {
    let nothing = json!({});
    let role = [(ROLE, ROLE_ARN)];
    let without = |name: &str| {
        let mut config = builtin();
        config.as_object_mut().unwrap().remove(name);
        config
    };
    let custom = json!({ "service": "s3", "stsMode": "custom", "defaultRegion": "eu-west-1" });
    let mut keyless = custom.clone();
    keyless["stsEndpointUrl"] = "https://x.example".into();
    keyless["stsAuthType"] = "api_key".into();
    for (integration, connection, entered, code) in [
        (
            without("service"),
            external(),
            &role[..],
            ErrorCode::MissingAwsSigv4Service,
        ),
        (
            without("awsSecretAccessKey"),
            external(),
            &role,
            ErrorCode::MissingAwsSigv4BuiltinCredentials,
        ),
        (
            without("defaultRegion"),
            external(),
            &role,
            ErrorCode::MissingAwsSigv4Region,
        ),
        (
            builtin(),
            nothing.clone(),
            &role,
            ErrorCode::MissingAwsSigv4ExternalId,
        ),
        (
            builtin(),
            external(),
            &[(ROLE, " ")],
            ErrorCode::MissingAwsSigv4RoleArn,
        ),
        (
            custom,
            external(),
            &role,
            ErrorCode::MissingAwsSigv4StsEndpoint,
        ),
        (keyless, external(), &role, ErrorCode::InvalidAwsSigv4Config),
    ] {
        let sts = Sts::new(200, ASSUMED);
        let refused = log_in("", integration, connection, entered, &sts)
            .await
            .unwrap_err();
        let Rejected::Auth(error) = refused else {
            panic!("{refused}");
        };
        assert_eq!(error.code(), code, "{error}");
        assert!(sts.seen.lock().unwrap().is_none(), "nobody was asked");
    }
    for (entered, field) in [
        (&[(ROLE, "arn:aws:iam::123:role/x")][..], ROLE),
        (&[(ROLE, "arn:aws:iam::123456789012:user/x")], ROLE),
        (&[(ROLE, ROLE_ARN), (REGION, "eu.evil.example/")], REGION),
        (&[(ROLE, ROLE_ARN), ("more", "x")], "more"),
    ] {
        let sts = Sts::new(200, ASSUMED);
        let refused = log_in("", builtin(), external(), entered, &sts)
            .await
            .unwrap_err();
        assert!(
            matches!(&refused, Rejected::Field(wrong) if wrong.field == field),
            "{refused}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_told_without_what_was_sent() {
    let denied = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code>\
        <Message>no: hush-key ext-1</Message></Error></ErrorResponse>";
    for (status, body, expected) in [
        (403, denied, "AccessDenied: no: [hidden] [hidden]"),
        (500, "", "without a reason"),
        (200, "<html>", "holds no keys"),
        (
            200,
            "<Credentials><AccessKeyId>A</AccessKeyId></Credentials>",
            "holds no keys",
        ),
    ] {
        let sts = Sts::new(status, body);
        let entered = [(ROLE, ROLE_ARN)];
        let refused = log_in("", builtin(), external(), &entered, &sts)
            .await
            .unwrap_err();
        let Rejected::Auth(error @ Error::Aws(Fault::Refused { .. })) = refused else {
            panic!("{refused}");
        };
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(error.code(), ErrorCode::AwsSigv4StsRequestFailed);
    }
}

#[test]
fn the_wire_shows_the_keys_and_debug_does_not() {
    let keys = Keys {
        access_key: "ASIA1".to_owned(),
        secret_key: "planted-hush".into(),
        session_token: Some("planted-token".into()),
        expires_at: None,
    };
    let login = login(keys, ROLE_ARN, "eu-west-1", Utc::now());
    assert_eq!(login.token.expose_secret(), "planted-token");
    let shown = format!("{login:?}");
    assert!(!shown.contains("planted"), "{shown}");
    let wire = Credentials::AwsSigV4(login).to_wire();
    assert_eq!(wire["type"], "AWS_SIGV4");
    for (name, value) in [
        ("role_arn", ROLE_ARN),
        ("region", "eu-west-1"),
        ("access_key_id", "ASIA1"),
        ("secret_access_key", "planted-hush"),
        ("session_token", "planted-token"),
    ] {
        assert_eq!(wire[name], value);
    }
}
