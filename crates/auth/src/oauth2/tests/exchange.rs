use std::sync::Mutex;

use chrono::{DateTime, TimeDelta, Utc};
use http::{Request as HttpRequest, Response};
use linkspan_providers::Config;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};

use super::*;
use crate::{Error, TokenEndpoint, TransportError};

/// Answers every request alike, and keeps the last.
pub(super) struct Scripted {
    status: u16,
    body: String,
    seen: Mutex<Option<HttpRequest<Vec<u8>>>>,
}

impl Scripted {
    pub(super) fn new(status: u16, body: impl Into<String>) -> Self {
        Self {
            status,
            body: body.into(),
            seen: Mutex::default(),
        }
    }

    /// Where the last request went.
    pub(super) fn uri(&self) -> url::Url {
        let seen = self.seen.lock().unwrap();
        seen.as_ref().unwrap().uri().to_string().parse().unwrap()
    }

    /// The content type, the Authorization header and the body of the last request.
    pub(super) fn seen(&self) -> (String, Option<String>, String) {
        let request = self.seen.lock().unwrap().take().unwrap();
        let header = |name| {
            request
                .headers()
                .get(name)
                .map(|v| v.to_str().unwrap().to_owned())
        };
        let body = String::from_utf8(request.body().clone()).unwrap();
        (
            header("content-type").unwrap(),
            header("authorization"),
            body,
        )
    }
}

impl TokenEndpoint for Scripted {
    async fn send(
        &self,
        request: HttpRequest<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        *self.seen.lock().unwrap() = Some(request);
        let response = Response::builder()
            .status(self.status)
            .header("content-type", "text/html");
        Ok(response.body(self.body.clone().into_bytes()).unwrap())
    }
}

async fn exchange(added: &str, client: &Client, endpoint: &Scripted) -> Result<Finished, Error> {
    let (template, nothing) = (template(added), Map::new());
    let config = Config {
        template: &template,
        connection: &nothing,
        integration: &nothing,
    };
    let verifier = SecretString::from("verifier-1");
    let grant = CodeGrant {
        code: &"code-1".into(),
        redirect_uri: Some("http://localhost/cb"),
        pkce_verifier: Some(&verifier),
    };
    crate::oauth2::exchange(client, &config, &grant, endpoint).await
}

#[tokio::test]
async fn a_code_is_exchanged_in_the_form_that_the_template_says() {
    const FORM: &str = "application/x-www-form-urlencoded";
    let basic = Some("Basic aWQrMTpzJTJGMQ==".to_owned());
    let flow = "code=code-1&code_verifier=verifier-1";
    let end = "redirect_uri=http%3A%2F%2Flocalhost%2Fcb";
    let in_body = "client_id=id+1&client_secret=s%2F1";
    for (added, authorization, body) in [
        (
            "",
            None,
            format!("{in_body}&{flow}&grant_type=authorization_code&{end}"),
        ),
        (
            "token_request_auth_method: basic",
            basic.clone(),
            format!("{flow}&grant_type=authorization_code&{end}"),
        ),
        (
            "authorization_method: header",
            basic,
            format!("{flow}&grant_type=authorization_code&{end}"),
        ),
        (
            "token_params: { grant_type: own, expiring: 1, drop: '${connectionConfig.none}', code: x }",
            None,
            format!("{in_body}&{flow}&expiring=1&grant_type=own&{end}"),
        ),
    ] {
        let endpoint = Scripted::new(200, r#"{"access_token":"a"}"#);
        exchange(added, &client(), &endpoint).await.unwrap();
        assert_eq!(
            endpoint.seen(),
            (FORM.to_owned(), authorization, body),
            "{added}"
        );
    }

    let endpoint = Scripted::new(200, r#"{"access_token":"a"}"#);
    exchange(
        "body_format: json\ntoken_params: { expiring: 1 }",
        &client(),
        &endpoint,
    )
    .await
    .unwrap();
    let (content_type, _, body) = endpoint.seen();
    let expected = json!({
        "client_id": "id 1", "client_secret": "s/1", "code": "code-1", "code_verifier": "verifier-1",
        "expiring": 1, "grant_type": "authorization_code", "redirect_uri": "http://localhost/cb",
    });
    assert_eq!(content_type, "application/json");
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), expected);

    let public = Client {
        client_secret: None,
        ..client()
    };
    exchange("token_request_auth_method: basic", &public, &endpoint)
        .await
        .unwrap();
    let (_, authorization, body) = endpoint.seen();
    assert_eq!(authorization, None);
    assert!(body.starts_with("client_id=id+1&code="), "{body}");

    let refused = exchange(
        "token_request_auth_method: private_key_jwt",
        &client(),
        &endpoint,
    )
    .await;
    assert!(
        matches!(refused, Err(Error::Unsupported { .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_refresh_keeps_the_old_refresh_token_unless_there_is_a_new_one() {
    let nothing = Map::new();
    let old = Tokens {
        access_token: "a0".into(),
        refresh_token: Some("r0".into()),
        expires_at: None,
        issued_at: DateTime::UNIX_EPOCH,
        raw: Value::Null,
        own_client: None,
        mcp: None,
    };
    let shared = "token_params: { grant_type: authorization_code, resource: x }";
    let own = "refresh_url: https://t.com/refresh\nrefresh_params: { grant_type: own }";
    for (added, url, body) in [
        (
            shared,
            "https://t.com/token",
            "grant_type=refresh_token&refresh_token=r0&resource=x",
        ),
        (
            own,
            "https://t.com/refresh",
            "grant_type=own&refresh_token=r0",
        ),
    ] {
        let template = template(added);
        let config = Config {
            template: &template,
            connection: &nothing,
            integration: &nothing,
        };
        for (answer, kept) in [
            ("{\"access_token\":\"a1\"}", "r0"),
            ("access_token=a1&refresh_token=r1", "r1"),
        ] {
            let endpoint = Scripted::new(200, answer);
            let before = Utc::now();
            let finished = refresh(&client(), &config, &old, &endpoint).await.unwrap();
            let fresh = tokens(&finished);
            assert_eq!(fresh.access_token.expose_secret(), "a1");
            assert_eq!(fresh.refresh_token.as_ref().unwrap().expose_secret(), kept);
            assert!(fresh.issued_at >= before && fresh.issued_at - before < TimeDelta::minutes(1));
            assert_eq!(endpoint.seen.lock().unwrap().as_ref().unwrap().uri(), url);
            assert_eq!(
                endpoint.seen().2,
                format!("client_id=id+1&client_secret=s%2F1&{body}")
            );
        }
        let without = Tokens {
            refresh_token: None,
            ..old.clone()
        };
        let error = refresh(&client(), &config, &without, &Scripted::new(200, ""))
            .await
            .unwrap_err();
        assert_eq!(error, Error::NoRefreshToken);
    }
}
