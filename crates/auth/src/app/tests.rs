use std::sync::Mutex;

use http::Response;
use linkspan_providers::Catalogue;

use super::*;
use crate::TransportError;
use crate::redirect::Identity;

const KEY: &str = include_str!("../sign/vectors/rfc7515-a2-pkcs1.pem");

/// Gives one answer, and keeps what it was asked.
pub(crate) struct Scripted {
    answer: (u16, &'static str),
    asked: Mutex<Vec<Request<Vec<u8>>>>,
}

impl Scripted {
    pub(crate) fn new(status: u16, body: &'static str) -> Self {
        Self {
            answer: (status, body),
            asked: Mutex::default(),
        }
    }
}

impl TokenEndpoint for Scripted {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, TransportError> {
        self.asked.lock().unwrap().push(request);
        let (status, body) = self.answer;
        let response = Response::builder().status(status);
        Ok(response.body(body.as_bytes().to_vec()).unwrap())
    }
}

pub(crate) fn client() -> Client {
    Client {
        app: Some(AppKey {
            app_id: "4711".to_owned(),
            app_link: "https://github.com/apps/ours".to_owned(),
            private_key: KEY.into(),
        }),
        ..Client::default()
    }
}

fn entered(fields: &[(&str, &str)]) -> Entered {
    let fields = fields.iter();
    let fields = fields.map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
    fields.collect::<BTreeMap<_, _>>().into()
}

async fn log_in_at(
    connection: Value,
    fields: &[(&str, &str)],
    endpoint: &Scripted,
) -> Result<Finished, Rejected> {
    let catalogue = Catalogue::builtin().unwrap();
    let config = Config {
        template: catalogue.get("github-app").unwrap(),
        connection: connection.as_object().unwrap(),
        integration: &Map::new(),
    };
    log_in(Some(&client()), &config, &entered(fields), None, endpoint).await
}

const TOKEN: &str = r#"{"token":"ghs_1","expires_at":"2099-01-01T00:00:00Z","permissions":{}}"#;

#[tokio::test]
async fn the_app_asks_by_a_token_of_ten_minutes() {
    let endpoint = Scripted::new(201, TOKEN);
    let finished = log_in_at(json!({}), &[("installation_id", "77")], &endpoint).await;
    let finished = finished.unwrap();
    let Credentials::App(login) = &finished.credentials else {
        panic!("{:?}", finished.credentials);
    };
    assert_eq!(login.token.expose_secret(), "ghs_1");
    assert_eq!(login.expires_at.unwrap().timestamp(), 4_070_908_800);
    let expected = json!({ "appPublicLink": "https://github.com/apps/ours", "app_id": "4711",
        "installation_id": "77" });
    assert_eq!(Value::Object(finished.metadata), expected);
    let asked = endpoint.asked.lock().unwrap();
    assert_eq!(
        asked[0].uri(),
        "https://api.github.com/app/installations/77/access_tokens"
    );
    assert_eq!(
        (asked[0].method(), asked[0].body().len()),
        (&Method::POST, 0)
    );
    let header = asked[0].headers()[AUTHORIZATION].to_str().unwrap();
    let claims = header.split('.').nth(1).unwrap();
    let claims = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims);
    let claims: Value = serde_json::from_slice(&claims.unwrap()).unwrap();
    let number = |name: &str| claims[name].as_i64().unwrap();
    assert_eq!(claims["iss"], "4711");
    assert_eq!(number("exp") - number("iat"), 600);
    assert!((Utc::now().timestamp() - number("iat") - 60).abs() < 10);
}

#[tokio::test]
async fn a_refresh_takes_the_installation_of_the_connection() {
    let endpoint = Scripted::new(201, TOKEN);
    let kept = json!({ "installation_id": "88" });
    log_in_at(kept, &[], &endpoint).await.unwrap();
    let asked = endpoint.asked.lock().unwrap();
    assert!(asked[0].uri().path().contains("/88/"));
}

#[tokio::test]
async fn what_cannot_be_an_installation_is_not_asked_for() {
    let endpoint = Scripted::new(201, TOKEN);
    for (fields, field) in [
        (&[][..], "installation_id"),
        (&[("installation_id", "../../../user")], "installation_id"),
        (&[("installation_id", "7"), ("app_id", "1")], "app_id"),
    ] {
        match log_in_at(json!({}), fields, &endpoint).await {
            Err(Rejected::Field(wrong)) => assert_eq!(wrong.field, field),
            other => panic!("{fields:?}: {other:?}"),
        }
    }
    assert!(endpoint.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn answers_without_a_token_are_told_apart() {
    for (status, body, code) in [
        (404, r#"{"message":"Not Found"}"#, "Not Found"),
        (200, "<html>", "not with tokens"),
        (200, "", "not with tokens"),
        (201, "{}", "no access token"),
        (500, TOKEN, "without a reason"),
    ] {
        let endpoint = Scripted::new(status, body);
        let refused = log_in_at(json!({}), &[("installation_id", "7")], &endpoint).await;
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(code), "{body}: {error}");
    }
}

#[test]
fn the_person_is_sent_to_the_apps_page() {
    let catalogue = Catalogue::builtin().unwrap();
    for slug in ["github-app", "github-app-oauth"] {
        let config = Config {
            template: catalogue.get(slug).unwrap(),
            connection: &Map::new(),
            integration: &Map::new(),
        };
        let request = redirect::Request {
            redirect_uri: "https://us.example/oauth/callback",
            state: "st 1",
            authorization_params: &BTreeMap::new(),
            identity: Identity::default(),
        };
        let begun = begin(Some(&client()), &config, &request).unwrap();
        assert_eq!(
            begun.authorize_url.as_str(),
            "https://github.com/apps/ours/installations/new?state=st+1"
        );
        let refused = begin(Some(&Client::default()), &config, &request).unwrap_err();
        assert_eq!(refused, Error::NoClient);
    }
}

#[test]
fn only_an_rsa_key_is_an_apps() {
    assert_eq!(check_key(KEY), Ok(()));
    assert_eq!(check_key(&KEY.replace('\n', "\\n")), Ok(()));
    let ec = include_str!("../sign/vectors/rfc7515-a3-sec1.pem");
    for wrong in [ec, "", "hush", "-----BEGIN RSA PRIVATE KEY-----\nhush"] {
        let reason = check_key(wrong).unwrap_err();
        assert!(!reason.contains("hush"), "{reason}");
    }
}
