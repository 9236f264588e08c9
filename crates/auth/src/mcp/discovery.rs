//! From an MCP server's address to its authorisation server (RFC 9728, RFC 8414
//! and OpenID Connect Discovery, in the order of the Model Context Protocol).
//!
//! Every answer is a stranger's: an address that it names must be public or
//! `https`, the names it gives must be those that it was asked under, and nothing
//! of it is shown or used unchecked.

use http::header::ACCEPT;
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use linkspan_providers::Config;
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use super::{SERVER_URL, Server, challenge};
use crate::{Error, TokenEndpoint, TransportError};

/// Longest address that is followed, in bytes.
const LONGEST_URL: usize = 2_000;
/// Largest document that is read, in bytes.
const LARGEST: usize = 256 * 1024;
/// Most scopes that are asked for because a server says so.
const MOST_SCOPES: usize = 100;

const RESOURCE_PATH: &str = "/.well-known/oauth-protected-resource";
const OAUTH_PATH: &str = "/.well-known/oauth-authorization-server";
const OPENID_PATH: &str = "/.well-known/openid-configuration";
const OFFLINE: &str = "offline_access";

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) server: Server,
    /// Where clients are registered (RFC 7591).
    pub(super) registration_endpoint: Option<String>,
    /// How clients may authenticate; empty if it does not say.
    pub(super) auth_methods: Vec<String>,
    /// The scopes that the resource needs.
    pub(super) scopes: Vec<String>,
    takes_documents: bool,
}

impl Found {
    /// Whether the authorisation server can know this one by a document. It has
    /// to reach it: one on this machine is of use only to a server that is there,
    /// too.
    pub(super) fn takes_document(&self, document: &str) -> bool {
        let is_local = |url: &str| usable(url).is_none_or(|url| url.scheme() != "https");
        self.takes_documents && (!is_local(document) || is_local(&self.server.issuer))
    }

    /// Whether a secret goes into a header (RFC 8414 section 2: it does unless
    /// something else is said).
    pub(super) fn wants_header(&self) -> bool {
        !self
            .auth_methods
            .iter()
            .any(|method| method == "client_secret_post")
    }
}

/// RFC 9728 section 2.
#[derive(Deserialize)]
struct ResourceMetadata {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// RFC 8414 section 2.
#[derive(Deserialize)]
struct ServerMetadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    registration_endpoint: Option<String>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// Finds the authorisation server of the connection's MCP server.
///
/// # Errors
/// [`Error::Unusable`] says what is missing; [`Error::Transport`] when a server
/// does not answer.
pub(super) async fn find<E: TokenEndpoint>(
    config: &Config<'_>,
    endpoint: &E,
) -> Result<Found, Error> {
    let entered = config.connection.value(SERVER_URL).unwrap_or_default();
    let server = usable(&entered).ok_or_else(|| {
        Error::Unusable(format!(
            "`{SERVER_URL}` must be the https address of an MCP server"
        ))
    })?;
    let asked = get(&server, endpoint).await?;
    let challenge = match asked.status() {
        StatusCode::UNAUTHORIZED => challenge::read(asked.headers()),
        _ => challenge::Challenge::default(),
    };
    let resource = resource(&server, challenge.resource_metadata.as_deref(), endpoint).await?;
    let (issuer, name, offered) = match resource {
        Some(metadata) => {
            let issuer = metadata.authorization_servers.first();
            let issuer = issuer
                .and_then(|issuer| usable(issuer))
                .ok_or_else(|| unusable("names no authorization server with an https address"))?;
            (issuer, metadata.resource, metadata.scopes_supported)
        }
        // Servers from before RFC 9728 are their own authorisation servers.
        None => (origin(&server), without_slash(server.as_str()), Vec::new()),
    };
    let metadata = authorization_server(&issuer, endpoint).await?;
    let mut scopes = match challenge.scope {
        Some(scopes) => scopes.split_whitespace().map(str::to_owned).collect(),
        None => offered,
    };
    scopes.truncate(MOST_SCOPES);
    let offers_offline = metadata
        .scopes_supported
        .iter()
        .any(|scope| scope == OFFLINE);
    if offers_offline && !scopes.iter().any(|scope| scope == OFFLINE) {
        scopes.push(OFFLINE.to_owned());
    }
    found(metadata, name, scopes)
}

/// What the resource says of itself; nothing if it says nothing.
async fn resource<E: TokenEndpoint>(
    server: &Url,
    told: Option<&str>,
    endpoint: &E,
) -> Result<Option<ResourceMetadata>, Error> {
    let told = match told {
        Some(told) => Some(
            usable(told)
                .ok_or_else(|| unusable("describes itself at an address that is not https"))?,
        ),
        None => None,
    };
    let root = at(server, RESOURCE_PATH);
    let mut places = vec![inserted(server, RESOURCE_PATH), root];
    places.dedup();
    if let Some(told) = told {
        places.insert(0, told);
    }
    for place in places {
        let Some(metadata) = document::<ResourceMetadata, E>(&place, endpoint).await? else {
            continue;
        };
        // RFC 9728 section 3.3: a server must not ask for tokens for another's.
        let named = usable(&metadata.resource);
        if !named.is_some_and(|named| covers(&named, server)) {
            return Err(unusable("describes another server than itself"));
        }
        return Ok(Some(metadata));
    }
    Ok(None)
}

/// The metadata of an issuer.
async fn authorization_server<E: TokenEndpoint>(
    issuer: &Url,
    endpoint: &E,
) -> Result<ServerMetadata, Error> {
    let mut places = vec![inserted(issuer, OAUTH_PATH), inserted(issuer, OPENID_PATH)];
    let path = without_slash(issuer.path());
    if !path.is_empty() {
        places.push(at(issuer, &format!("{path}{OPENID_PATH}")));
    }
    for place in places {
        let Some(metadata) = document::<ServerMetadata, E>(&place, endpoint).await? else {
            continue;
        };
        // RFC 8414 section 3.3, against a server that passes for another one.
        if without_slash(&metadata.issuer) != without_slash(issuer.as_str()) {
            return Err(unusable(
                "has an authorization server that calls itself something else",
            ));
        }
        return Ok(metadata);
    }
    Err(unusable(
        "has an authorization server that publishes no metadata",
    ))
}

fn found(metadata: ServerMetadata, resource: String, scopes: Vec<String>) -> Result<Found, Error> {
    let methods = &metadata.code_challenge_methods_supported;
    if !methods.iter().any(|method| method == "S256") {
        return Err(unusable("has an authorization server without PKCE by S256"));
    }
    let address = |text: &str| {
        let url = usable(text).map(|url| url.to_string());
        url.ok_or_else(|| unusable("has an authorization server with an address that is not https"))
    };
    let registration = metadata.registration_endpoint.as_deref();
    Ok(Found {
        registration_endpoint: registration.map(address).transpose()?,
        auth_methods: metadata.token_endpoint_auth_methods_supported,
        scopes,
        takes_documents: metadata.client_id_metadata_document_supported,
        server: Server {
            authorization_endpoint: address(&metadata.authorization_endpoint)?,
            token_endpoint: address(&metadata.token_endpoint)?,
            issuer: metadata.issuer,
            resource,
            names_itself: metadata.authorization_response_iss_parameter_supported,
        },
    })
}

/// A document at an address; nothing if there is none, or something else.
async fn document<T: for<'de> Deserialize<'de>, E: TokenEndpoint>(
    place: &Url,
    endpoint: &E,
) -> Result<Option<T>, Error> {
    let answer = get(place, endpoint).await?;
    if answer.status() != StatusCode::OK || answer.body().len() > LARGEST {
        return Ok(None);
    }
    let read = serde_json::from_slice::<Value>(answer.body());
    Ok(read
        .ok()
        .and_then(|value| serde_json::from_value(value).ok()))
}

async fn get<E: TokenEndpoint>(url: &Url, endpoint: &E) -> Result<Response<Vec<u8>>, Error> {
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = Uri::try_from(url.as_str())
        .map_err(|error| Error::Transport(TransportError::Failed(error.to_string())))?;
    let accept = HeaderValue::from_static("application/json, text/event-stream");
    request.headers_mut().insert(ACCEPT, accept);
    Ok(endpoint.send(request).await?)
}

fn unusable(what: &str) -> Error {
    Error::Unusable(format!("the MCP server {what}"))
}

/// An address that requests may go to: `https`, or `http` on this machine or
/// network, where the address policy decides.
fn usable(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let is_plain = url.username().is_empty() && url.password().is_none();
    let is_safe = match url.scheme() {
        "https" => true,
        "http" => is_near(url.host()?),
        _ => false,
    };
    let is_usable = is_plain && is_safe && url.fragment().is_none() && text.len() <= LONGEST_URL;
    is_usable.then_some(url)
}

fn is_near(host: Host<&str>) -> bool {
    match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback() || address.is_private(),
        Host::Ipv6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// Whether a resource's name is the server's address, or the beginning of it.
fn covers(resource: &Url, server: &Url) -> bool {
    let part = without_slash(resource.path());
    let rest = server.path().strip_prefix(part.as_str());
    let is_within = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    resource.origin() == server.origin() && is_within
}

fn origin(url: &Url) -> Url {
    at(url, "/")
}

fn at(url: &Url, path: &str) -> Url {
    let mut url = url.clone();
    url.set_path(path);
    url.set_query(None);
    url
}

/// RFC 8414 section 3.1: what is well known stands before the path.
fn inserted(url: &Url, well_known: &str) -> Url {
    at(url, &format!("{well_known}{}", without_slash(url.path())))
}

fn without_slash(text: &str) -> String {
    text.trim_end_matches('/').to_owned()
}
