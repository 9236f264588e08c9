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
        include_str!("../../../../providers/mcp-generic.yaml"),
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

#[tokio::test]
async fn a_server_is_found_registered_with_asked_and_asked_again() {
    let world = World::usual(json!({}));
    let begun = begin(&world).await.unwrap();
    let url = &begun.authorize_url;
    assert!(
        url.as_str()
            .starts_with("https://auth.example/t1/authorize?"),
        "{url}"
    );
    let params = query(url);
    for (name, value) in [
        ("a", "b"),
        ("client_id", "client-1"),
        ("redirect_uri", CALLBACK),
        ("resource", SERVER),
        ("scope", "read write"),
        ("code_challenge_method", "S256"),
        ("state", "state-1"),
    ] {
        assert_eq!(params.get(name).map(String::as_str), Some(value), "{name}");
    }
    let expected = [
        SERVER,
        RESOURCE_DOCUMENT,
        ISSUER_DOCUMENT,
        "https://auth.example/register",
    ];
    assert_eq!(world.asked(), expected);

    let tokens = finish(&world, &begun.kept, &[("code", "c-1")])
        .await
        .unwrap();
    let form = world.form();
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "c-1"),
        ("client_id", "client-1"),
        ("redirect_uri", CALLBACK),
        ("resource", SERVER),
    ] {
        assert_eq!(form.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(form.contains_key("code_verifier") && !form.contains_key("client_secret"));

    // What was found is kept: nothing is looked up again.
    let stored = serde_json::to_value(&tokens).unwrap();
    let tokens: Tokens = serde_json::from_value(stored).unwrap();
    let (template, connection) = (generic(), connection(SERVER));
    let config = config(&template, &connection);
    let before = world.asked().len();
    let fresh = refresh(None, &config, &tokens, &world).await.unwrap();
    assert_eq!(world.asked()[before..], ["https://tokens.example/token"]);
    let form = world.form();
    let expected = [
        ("client_id", "client-1"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "r-1"),
        ("resource", SERVER),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form, BTreeMap::from(expected));
    let Credentials::OAuth2(fresh) = fresh.credentials else {
        panic!("tokens");
    };
    assert_eq!(fresh.mcp.unwrap().client_id, "client-1");
}

#[tokio::test]
async fn the_challenge_is_believed_before_what_is_well_known() {
    let place = "https://elsewhere.example/described";
    let resource = json!({ "resource": "https://mcp.example/tools",
        "authorization_servers": ["https://auth.example/t1"], "scopes_supported": ["no"] });
    let world = World::usual(json!({ "scopes_supported": ["offline_access"] }))
        .with(place, 200, resource)
        .challenging(&format!(
            "Bearer resource_metadata=\"{place}\", scope=\"need\""
        ));
    let begun = begin(&world).await.unwrap();
    assert_eq!(world.asked()[..3], [SERVER, place, ISSUER_DOCUMENT]);
    let params = query(&begun.authorize_url);
    assert_eq!(params["resource"], "https://mcp.example/tools");
    assert_eq!(params["scope"], "need offline_access");
}

#[tokio::test]
async fn the_places_are_tried_in_order() {
    let root = "https://mcp.example/.well-known/oauth-protected-resource";
    let resource = json!({ "resource": "https://mcp.example",
        "authorization_servers": ["https://auth.example/t1/"] });
    let mut world = World::usual(json!({})).with(root, 200, resource);
    world.answers.remove(RESOURCE_DOCUMENT);
    let issuer = world.answers.remove(ISSUER_DOCUMENT).unwrap();
    let openid = "https://auth.example/t1/.well-known/openid-configuration";
    world.answers.insert(openid.to_owned(), issuer);
    begin(&world).await.unwrap();
    let between = "https://auth.example/.well-known/openid-configuration/t1";
    let expected = [
        SERVER,
        RESOURCE_DOCUMENT,
        root,
        ISSUER_DOCUMENT,
        between,
        openid,
    ];
    assert_eq!(world.asked()[..6], expected);
}

#[tokio::test]
async fn a_server_without_a_description_is_its_own_authorization_server() {
    let metadata = json!({ "issuer": "https://mcp.example",
        "authorization_endpoint": "https://mcp.example/authorize",
        "token_endpoint": "https://mcp.example/token",
        "code_challenge_methods_supported": ["S256"] });
    let place = "https://mcp.example/.well-known/oauth-authorization-server";
    let world = World::default().with(place, 200, metadata);
    let begun = begin(&world).await.unwrap();
    let params = query(&begun.authorize_url);
    assert_eq!(params["client_id"], "linkspan", "it takes no registrations");
    assert_eq!(params["resource"], SERVER);
}

#[tokio::test]
async fn a_document_is_preferred_where_it_can_be_read() {
    let takes = json!({ "client_id_metadata_document_supported": true });
    for (document, expected) in [
        (Some(DOCUMENT), DOCUMENT),
        // Nobody else reaches this machine.
        (
            Some("http://localhost:3003/oauth/client-metadata/e/mcp"),
            "client-1",
        ),
        (None, "client-1"),
    ] {
        let identity = Identity {
            document,
            ..Identity::default()
        };
        let world = World::usual(takes.clone());
        let begun = begin_with(&world, identity, &[]).await.unwrap();
        assert_eq!(query(&begun.authorize_url)["client_id"], expected);
    }
}

#[tokio::test]
async fn a_stranger_is_not_believed_everything() {
    let described = |changes: Value| {
        let mut resource = json!({ "resource": SERVER,
            "authorization_servers": ["https://auth.example/t1"] });
        for (name, value) in changes.as_object().unwrap() {
            resource[name] = value.clone();
        }
        World::usual(json!({})).with(RESOURCE_DOCUMENT, 200, resource)
    };
    for (world, expected) in [
        (
            described(json!({ "resource": "https://bank.example/tools/mcp" })),
            "another server",
        ),
        (
            described(json!({ "resource": "https://mcp.example/to" })),
            "another server",
        ),
        (
            described(json!({ "authorization_servers": [] })),
            "names no authorization server",
        ),
        (
            described(json!({ "authorization_servers": ["http://auth.example/t1"] })),
            "names no authorization server",
        ),
        (
            World::usual(json!({ "issuer": "https://bank.example" })),
            "something else",
        ),
        (
            World::usual(json!({ "code_challenge_methods_supported": [] })),
            "PKCE",
        ),
        (
            World::usual(json!({ "code_challenge_methods_supported": ["plain"] })),
            "PKCE",
        ),
        (
            World::usual(json!({ "token_endpoint": "http://tokens.example/token" })),
            "not https",
        ),
        (
            World::usual(json!({ "authorization_endpoint": "javascript:alert(1)" })),
            "not https",
        ),
        (
            World::usual(json!({ "token_endpoint": "https://u:p@tokens.example" })),
            "not https",
        ),
        (
            World::usual(json!({})).challenging("Bearer resource_metadata=\"file:///etc\""),
            "not https",
        ),
        (World::default(), "publishes no metadata"),
    ] {
        let error = begin(&world).await.unwrap_err();
        assert!(matches!(error, Error::Unusable(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_strangers_text_is_no_template() {
    let token_endpoint = "https://tokens.example/token?x=${clientSecret}";
    let world = World::usual(json!({ "token_endpoint": token_endpoint }));
    let mut begun = begin(&world).await.unwrap();
    let registration = begun.kept.mcp.as_mut().unwrap();
    registration.client_secret = Some("planted-hush".into());
    registration.server.as_mut().unwrap().resource = "${clientSecret} || x".to_owned();
    let refused = finish(&world, &begun.kept, &[("code", "c-1")]).await;
    refused.unwrap_err();
    let asked = world.asked();
    assert_eq!(
        asked.last().unwrap(),
        "https://tokens.example/token?x=$%7BclientSecret%7D"
    );
    assert_eq!(world.form()["resource"], "${clientSecret} || x");
}

#[tokio::test]
async fn a_code_of_another_issuer_is_not_taken() {
    let world = World::usual(json!({ "authorization_response_iss_parameter_supported": true }));
    let begun = begin(&world).await.unwrap();
    let asked = world.asked().len();
    for query in [
        &[("code", "c-1"), ("iss", "https://bank.example")][..],
        &[("code", "c-1")],
    ] {
        let error = finish(&world, &begun.kept, query).await.unwrap_err();
        assert!(matches!(error, Error::Unusable(_)), "{error}");
    }
    assert_eq!(world.asked().len(), asked, "no token request was made");
    let denied = finish(&world, &begun.kept, &[("error", "access_denied")])
        .await
        .unwrap_err();
    assert!(matches!(denied, Error::NoCode(_)), "{denied}");
    let right = [("code", "c-1"), ("iss", "https://auth.example/t1")];
    finish(&world, &begun.kept, &right).await.unwrap();
}

#[tokio::test]
async fn the_caller_cannot_name_another_resource() {
    let world = World::usual(json!({}));
    let params = [("resource", "https://bank.example"), ("prompt", "consent")];
    let begun = begin_with(&world, Identity::default(), &params)
        .await
        .unwrap();
    let params = query(&begun.authorize_url);
    assert_eq!(
        (params["resource"].as_str(), params["prompt"].as_str()),
        (SERVER, "consent")
    );
}

#[tokio::test]
async fn the_secret_goes_where_the_registration_says() {
    for (methods, answered, in_header, has_secret) in [
        (
            json!(["client_secret_basic"]),
            json!({ "client_secret": "s" }),
            true,
            true,
        ),
        (
            json!(["client_secret_post", "client_secret_basic"]),
            json!({ "client_secret": "s" }),
            false,
            true,
        ),
        (
            json!(["none"]),
            json!({ "client_secret": "s",
            "token_endpoint_auth_method": "client_secret_basic" }),
            true,
            true,
        ),
        (
            json!(["none"]),
            json!({ "client_secret": "s",
            "token_endpoint_auth_method": "none" }),
            false,
            false,
        ),
        (json!([]), json!({}), false, false),
    ] {
        let mut answer = json!({ "client_id": "client-2", "client_secret_expires_at": 7 });
        for (name, value) in answered.as_object().unwrap() {
            answer[name] = value.clone();
        }
        let changes = json!({ "token_endpoint_auth_methods_supported": methods });
        let world = World::usual(changes).with("https://auth.example/register", 201, answer);
        let begun = begin(&world).await.unwrap();
        let registration = begun.kept.mcp.clone().unwrap();
        assert_eq!(registration.in_header, in_header, "{methods}");
        assert_eq!(
            registration.client_secret.is_some(),
            has_secret,
            "{methods}"
        );
        assert!(registration.secret_expires_at.is_some());
        finish(&world, &begun.kept, &[("code", "c-1")])
            .await
            .unwrap();
        let seen = world.seen.lock().unwrap();
        let header = seen.last().unwrap().headers().get("authorization");
        assert_eq!(header.is_some(), in_header, "{methods}");
    }
}

#[tokio::test]
async fn imported_tokens_find_their_server_with_the_client_they_brought() {
    let world = World::usual(json!({}));
    let (template, connection) = (generic(), connection(SERVER));
    let config = config(&template, &connection);
    let tokens: Tokens = serde_json::from_value(json!({ "access_token": "a", "refresh_token": "r",
        "issued_at": "2026-01-01T00:00:00Z", "raw": {},
        "own_client": { "client_id": "theirs", "client_secret": "s" } }))
    .unwrap();
    let finished = refresh(None, &config, &tokens, &world).await.unwrap();
    let seen = world.seen.lock().unwrap();
    let header = seen.last().unwrap().headers()["authorization"].clone();
    assert_eq!(header, "Basic dGhlaXJzOnM=");
    let Credentials::OAuth2(fresh) = finished.credentials else {
        panic!("tokens");
    };
    assert_eq!(fresh.access_token.expose_secret(), "a-1");
    assert_eq!(
        fresh.mcp.unwrap().server.unwrap().issuer,
        "https://auth.example/t1"
    );
}

fn dynamic(added: &str) -> Template {
    let yaml = "display_name: T\ncategories: [other]\nauth_mode: MCP_OAUTH2\n\
         client_registration: dynamic\nauthorization_url: https://t.com/a\n\
         token_url: https://t.com/t\nregistration_url: https://t.com/r\n\
         default_scopes: [s1]\nauthorization_params: { resource: https://t.com/mcp }\n";
    Template::parse("t", &format!("{yaml}{added}")).unwrap()
}

#[tokio::test]
async fn a_client_that_needs_a_secret_is_asked_for_after_one_that_does_not() {
    let template = dynamic("registration_params: { software_id: x }\n");
    let nothing = Map::new();
    let config = config(&template, &nothing);
    let refused = json!({ "error": "invalid_client_metadata", "error_description": "no" });
    let world = World::default().with("https://t.com/r", 400, refused);
    let error = register(&config, CALLBACK, &world).await.unwrap_err();
    assert!(
        matches!(error, Error::Refused { status: 400, .. }),
        "{error}"
    );
    let methods: Vec<Value> = world
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|request| serde_json::from_slice(request.body()).unwrap())
        .collect();
    assert_eq!(methods.len(), 2);
    assert_eq!(
        methods[0],
        json!({ "client_name": "Linkspan", "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "token_endpoint_auth_method": "none", "scope": "s1", "software_id": "x" })
    );
    assert_eq!(
        methods[1]["token_endpoint_auth_method"],
        "client_secret_post"
    );
}

#[tokio::test]
async fn a_registration_that_cannot_be_used_is_refused() {
    let template = dynamic("");
    let nothing = Map::new();
    let config = config(&template, &nothing);
    for answer in [
        json!({}),
        json!({ "client_id": "" }),
        json!({ "client_id": 7 }),
    ] {
        let world = World::default().with("https://t.com/r", 201, answer);
        let error = register(&config, CALLBACK, &world).await.unwrap_err();
        assert!(error.to_string().contains("no client_id"), "{error}");
    }
    let error = register(&config, CALLBACK, &World::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unreadable { status: 404, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_template_says_where_and_the_registration_who() {
    let template = dynamic("");
    let nothing = Map::new();
    let config = config(&template, &nothing);
    let params = BTreeMap::new();
    let registered = Registration {
        client_secret: Some("s".into()),
        ..Registration::new("client-3", CALLBACK)
    };
    let request = |identity| Request {
        redirect_uri: CALLBACK,
        state: "s",
        authorization_params: &params,
        identity,
    };
    let none = super::begin(
        None,
        &config,
        &request(Identity::default()),
        &World::default(),
    )
    .await;
    assert_eq!(none.unwrap_err(), Error::NoClient);
    let identity = Identity {
        registered: Some(&registered),
        ..Identity::default()
    };
    let begun = super::begin(None, &config, &request(identity), &World::default())
        .await
        .unwrap();
    let asked = query(&begun.authorize_url);
    assert_eq!(asked["client_id"], "client-3");
    assert_eq!(
        (asked["scope"].as_str(), asked["resource"].as_str()),
        ("s1", "https://t.com/mcp")
    );
    let world = World::default().with("https://t.com/t", 200, json!({ "access_token": "a" }));
    let callback = Callback {
        query: &BTreeMap::from([("code".to_owned(), "c".to_owned())]),
        redirect_uri: CALLBACK,
        kept: &begun.kept,
    };
    super::finish(None, &config, &callback, &world)
        .await
        .unwrap();
    let form = world.form();
    assert_eq!(
        (form["client_secret"].as_str(), form["resource"].as_str()),
        ("s", "https://t.com/mcp")
    );
}
