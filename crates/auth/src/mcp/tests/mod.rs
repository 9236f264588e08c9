//! Against scripted servers: what is found, and what is made of it.

mod discovery;
mod grant;
mod registration;

use std::sync::Mutex;

use http::{Request as HttpRequest, Response};
use linkspan_providers::Template;
use secrecy::ExposeSecret;
use serde_json::{Map, Value, json};
use url::Url;

use super::*;
use crate::TransportError;
use crate::redirect::Kept;

const SERVER: &str = "https://mcp.example/tools/mcp";
const RESOURCE_DOCUMENT: &str =
    "https://mcp.example/.well-known/oauth-protected-resource/tools/mcp";
const ISSUER_DOCUMENT: &str = "https://auth.example/.well-known/oauth-authorization-server/t1";
const CALLBACK: &str = "https://linkspan.example/oauth/callback";
const DOCUMENT: &str = "https://linkspan.example/oauth/client-metadata/e/mcp";

/// Servers that answer by address, and what they were asked.
#[derive(Default)]
struct World {
    answers: BTreeMap<String, (u16, Option<String>, String)>,
    seen: Mutex<Vec<HttpRequest<Vec<u8>>>>,
}

impl World {
    fn with(mut self, url: &str, status: u16, body: Value) -> Self {
        self.answers
            .insert(url.to_owned(), (status, None, body.to_string()));
        self
    }

    fn challenging(mut self, header: &str) -> Self {
        let answer = (401, Some(header.to_owned()), String::new());
        self.answers.insert(SERVER.to_owned(), answer);
        self
    }

    /// A server, its description, and the description of its issuer.
    fn usual(changes: Value) -> Self {
        let mut issuer = json!({
            "issuer": "https://auth.example/t1",
            "authorization_endpoint": "https://auth.example/t1/authorize?a=b",
            "token_endpoint": "https://tokens.example/token",
            "registration_endpoint": "https://auth.example/register",
            "code_challenge_methods_supported": ["plain", "S256"],
        });
        for (name, value) in changes.as_object().unwrap() {
            issuer[name] = value.clone();
        }
        let resource = json!({ "resource": SERVER, "scopes_supported": ["read", "write"],
            "authorization_servers": ["https://auth.example/t1", "https://other.example"] });
        let registered = json!({ "client_id": "client-1" });
        Self::default()
            .with(RESOURCE_DOCUMENT, 200, resource)
            .with(ISSUER_DOCUMENT, 200, issuer)
            .with("https://auth.example/register", 201, registered)
            .with(
                "https://tokens.example/token",
                200,
                json!({ "access_token": "a-1",
                "refresh_token": "r-1", "expires_in": 3600 }),
            )
    }

    fn asked(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter()
            .map(|request| request.uri().to_string())
            .collect()
    }

    /// The body of the last request, as a form.
    fn form(&self) -> BTreeMap<String, String> {
        let seen = self.seen.lock().unwrap();
        let pairs = url::form_urlencoded::parse(seen.last().unwrap().body());
        pairs.into_owned().collect()
    }
}

impl TokenEndpoint for World {
    async fn send(
        &self,
        request: HttpRequest<Vec<u8>>,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let url = request.uri().to_string();
        self.seen.lock().unwrap().push(request);
        let missing = (404, None, "<html>".to_owned());
        let (status, header, body) = self.answers.get(&url).cloned().unwrap_or(missing);
        let mut response = Response::builder().status(status);
        if let Some(header) = header {
            response = response.header("www-authenticate", header);
        }
        Ok(response.body(body.into_bytes()).unwrap())
    }
}

fn generic() -> Template {
    Template::parse(
        "mcp-generic",
        include_str!("../../../../../providers/mcp-generic.yaml"),
    )
    .unwrap()
}

fn connection(url: &str) -> Map<String, Value> {
    Map::from_iter([(SERVER_URL.to_owned(), url.into())])
}

fn config<'a>(template: &'a Template, connection: &'a Map<String, Value>) -> Config<'a> {
    Config {
        template,
        connection,
        integration: &NOTHING,
    }
}

static NOTHING: BTreeMap<String, String> = BTreeMap::new();

async fn begin_with(
    world: &World,
    identity: Identity<'_>,
    params: &[(&str, &str)],
) -> Result<Begun, Error> {
    let (template, connection) = (generic(), connection(SERVER));
    let params = params.iter();
    let params = params
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let request = Request {
        redirect_uri: CALLBACK,
        state: "state-1",
        authorization_params: &params,
        identity,
    };
    super::begin(None, &config(&template, &connection), &request, world).await
}

async fn begin(world: &World) -> Result<Begun, Error> {
    begin_with(world, Identity::default(), &[]).await
}

async fn finish(world: &World, kept: &Kept, query: &[(&str, &str)]) -> Result<Tokens, Error> {
    let (template, connection) = (generic(), connection(SERVER));
    let query = query.iter();
    let query = query
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let callback = Callback {
        query: &query,
        redirect_uri: CALLBACK,
        kept,
    };
    let config = config(&template, &connection);
    match super::finish(None, &config, &callback, world)
        .await?
        .credentials
    {
        Credentials::OAuth2(tokens) => Ok(tokens),
        other => panic!("{other:?}"),
    }
}

fn query(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}
