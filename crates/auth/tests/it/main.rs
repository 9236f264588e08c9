//! The whole way with a real provider: authorise, exchange, call, refresh.

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot go on should fail there"
)]

mod prepared;
mod sample;

use std::collections::{BTreeMap, VecDeque};

use http::{HeaderMap, Method, Request as HttpRequest, Response};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use linkspan_auth::oauth2::CodeGrant;
use linkspan_auth::redirect::{Begun, Request};
use linkspan_auth::request::{BodyForSigning, Prepare, prepare};
use linkspan_auth::{Client, Credentials, Error, Finished, TokenEndpoint, TransportError, oauth2};
use linkspan_providers::{Catalogue, Config, Template};
use linkspan_simulator::browser::{self, Decision};
use linkspan_simulator::{Fault, Settings, Simulator};
use secrecy::SecretString;
use url::Url;

const REDIRECT_URI: &str = "http://127.0.0.1:9/oauth/callback";

struct Http;

impl TokenEndpoint for Http {
    async fn send(
        &self,
        request: HttpRequest<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let failed = |error: &dyn std::error::Error| TransportError::Failed(error.to_string());
        let client = HttpClient::builder(TokioExecutor::new()).build_http();
        let request = request.map(|body| Full::new(VecDeque::from(body)));
        let (parts, body) = client
            .request(request)
            .await
            .map_err(|e| failed(&e))?
            .into_parts();
        let body = body.collect().await.map_err(|e| failed(&e))?.to_bytes();
        Ok(Response::from_parts(parts, body.to_vec()))
    }
}

/// A simulated provider and an integration with it.
struct Setup {
    simulator: Simulator,
    template: Template,
    integration: BTreeMap<String, String>,
    client: Client,
}

impl Setup {
    async fn new() -> Self {
        let simulator = Simulator::start(Settings::default()).await.unwrap();
        let known = simulator.client();
        let client = Client {
            client_id: known.client_id.clone(),
            client_secret: Some(known.client_secret.clone().into()),
            ..Client::default()
        };
        let template = Template::clone(Catalogue::builtin().unwrap().get("demo").unwrap());
        let base = ("baseUrl".to_owned(), simulator.base_url().to_string());
        Self {
            simulator,
            template,
            integration: BTreeMap::from([base]),
            client,
        }
    }

    fn config(&self) -> Config<'_> {
        static NOTHING: BTreeMap<String, String> = BTreeMap::new();
        Config {
            template: &self.template,
            connection: &NOTHING,
            integration: &self.integration,
        }
    }

    /// Authorises, and gives what the browser brings back.
    async fn authorize(&self) -> (Begun, SecretString) {
        let request = Request {
            redirect_uri: REDIRECT_URI,
            state: "0123456789abcdef0123456789abcdef",
            authorization_params: &BTreeMap::new(),
            identity: linkspan_auth::redirect::Identity::default(),
        };
        let begun = oauth2::begin(&self.client, &self.config(), &request).unwrap();
        let user = Settings::default().user;
        let url = begun.authorize_url.as_str();
        let back = browser::authorize(url, &user, Decision::Allow)
            .await
            .unwrap();
        let back: BTreeMap<_, _> = Url::parse(&back)
            .unwrap()
            .query_pairs()
            .into_owned()
            .collect();
        assert_eq!(back["state"], request.state);
        (begun, back["code"].clone().into())
    }

    async fn finish(
        &self,
        verifier: Option<&SecretString>,
        code: &SecretString,
    ) -> Result<Finished, Error> {
        let grant = CodeGrant {
            code,
            redirect_uri: Some(REDIRECT_URI),
            pkce_verifier: verifier,
        };
        oauth2::exchange(&self.client, &self.config(), &grant, &Http).await
    }

    /// The status of a call to the API.
    async fn call(&self, credentials: &Credentials) -> u16 {
        let prepared = prepare(&Prepare {
            config: &self.config(),
            client: None,
            credentials,
            base_url_override: None,
            path_and_query: "/api/items",
            method: &Method::GET,
            headers: &HeaderMap::new(),
            body: BodyForSigning::Absent,
            body_headers: &HeaderMap::new(),
        });
        let prepared = prepared.unwrap();
        let mut request = HttpRequest::get(prepared.url.as_str())
            .body(vec![])
            .unwrap();
        *request.headers_mut() = prepared.headers;
        Http.send(request).await.unwrap().status().as_u16()
    }
}

#[tokio::test]
async fn authorise_exchange_call_and_refresh() {
    let setup = Setup::new().await;
    let (begun, code) = setup.authorize().await;
    let first = setup
        .finish(begun.kept.pkce_verifier.as_ref(), &code)
        .await
        .unwrap();
    assert_eq!(setup.call(&first.credentials).await, 200);
    assert!(first.credentials.expires_at().is_some());

    setup.simulator.control().revoke_access_tokens();
    assert_eq!(setup.call(&first.credentials).await, 401);
    setup.simulator.control().take_refusals();
    let config = setup.config();
    let second = linkspan_auth::refresh(Some(&setup.client), &config, &first.credentials, &Http)
        .await
        .unwrap();
    assert_eq!(setup.call(&second.credentials).await, 200);
    assert!(
        setup.simulator.control().refusals().is_empty(),
        "{:?}",
        setup.simulator.control().refusals()
    );
}

#[tokio::test]
async fn a_refusal_is_told_in_the_providers_words() {
    let setup = Setup::new().await;
    let (_, code) = setup.authorize().await;
    let wrong = SecretString::from("x".repeat(43));
    let error = setup.finish(Some(&wrong), &code).await.unwrap_err();
    assert!(
        matches!(&error, Error::Refused { status: 400, error: Some(code), .. } if code == "invalid_grant"),
        "{error}"
    );
}

#[tokio::test]
async fn a_page_instead_of_tokens_is_an_error() {
    let setup = Setup::new().await;
    let (begun, code) = setup.authorize().await;
    let body = "<html>Bad gateway</html>".to_owned();
    setup
        .simulator
        .control()
        .fail_next(Fault::TokenError { status: 502, body });
    let error = setup
        .finish(begun.kept.pkce_verifier.as_ref(), &code)
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unreadable { status: 502, .. }),
        "{error}"
    );
    let retried = setup.finish(begun.kept.pkce_verifier.as_ref(), &code).await;
    assert!(retried.is_ok(), "{retried:?}");
}

/// Servers spawn these futures, so they must be `Send`.
#[test]
fn token_requests_can_be_spawned() {
    fn is_send(_: impl Send) {}
    let template = Template::clone(Catalogue::builtin().unwrap().get("demo").unwrap());
    let nothing = BTreeMap::<String, String>::new();
    let config = Config {
        template: &template,
        connection: &nothing,
        integration: &nothing,
    };
    let client = Client {
        client_id: "id".into(),
        client_secret: None,
        ..Client::default()
    };
    let secret = SecretString::from("code");
    let grant = CodeGrant {
        code: &secret,
        redirect_uri: Some(REDIRECT_URI),
        pkce_verifier: None,
    };
    is_send(oauth2::exchange(&client, &config, &grant, &Http));
    let stored = r#"{"type":"API_KEY","api_key":"k"}"#;
    let credentials: Credentials = serde_json::from_str(stored).unwrap();
    is_send(linkspan_auth::refresh(
        Some(&client),
        &config,
        &credentials,
        &Http,
    ));
}
