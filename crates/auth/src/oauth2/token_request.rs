//! The request to the token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use linkspan_providers::{AuthorizationMethod, BodyFormat, Template, TokenRequestAuthMethod};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::{Serializer, byte_serialize};

use super::begin::plain;
use crate::{Client, Error};

/// Builds the request: `params` and the client's authentication, in one place
/// only (RFC 6749 section 2.3: never more than one method).
pub(super) fn build(
    template: &Template,
    client: &Client,
    url: &Url,
    mut params: Map<String, Value>,
) -> Result<Request<Vec<u8>>, Error> {
    let unsupported = |feature| Error::Unsupported {
        provider: template.slug.clone(),
        feature,
    };
    let (id_name, secret_name) = match template.token_request_auth_method {
        Some(TokenRequestAuthMethod::Custom) => ("username", "password"),
        _ => ("client_id", "client_secret"),
    };
    let mut headers =
        HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    // A public client has nothing to authenticate with; it says who it is.
    let secret = client.client_secret.as_ref();
    match (secret, in_header(template).map_err(unsupported)?) {
        (Some(secret), true) => drop(headers.insert(AUTHORIZATION, basic(client, secret)?)),
        _ => {
            params.insert(id_name.into(), client.client_id.clone().into());
            if let Some(secret) = secret {
                params.insert(secret_name.into(), secret.expose_secret().into());
            }
        }
    }

    let mut url = url.clone();
    let (content_type, body) = match template.body_format.unwrap_or(BodyFormat::Form) {
        BodyFormat::Form => ("application/x-www-form-urlencoded", form(params)),
        BodyFormat::Json => ("application/json", Value::Object(params).to_string()),
        BodyFormat::Query => {
            let pairs = params.into_iter().map(|(name, value)| (name, plain(value)));
            url.query_pairs_mut().extend_pairs(pairs);
            ("application/x-www-form-urlencoded", String::new())
        }
        BodyFormat::Xml => return Err(unsupported("an XML token request")),
    };
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    let mut request = Request::new(body.into_bytes());
    *request.method_mut() = Method::POST;
    *request.uri_mut() =
        Uri::try_from(url.as_str()).map_err(|error| Error::Path(error.to_string()))?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// Whether the client authenticates in a header, or which feature that takes.
fn in_header(template: &Template) -> Result<bool, &'static str> {
    match template.token_request_auth_method {
        Some(TokenRequestAuthMethod::Basic) => Ok(true),
        Some(TokenRequestAuthMethod::Custom) => Ok(false),
        Some(TokenRequestAuthMethod::PrivateKeyJwt) => Err("private_key_jwt"),
        None => Ok(template.authorization_method == Some(AuthorizationMethod::Header)),
    }
}

/// RFC 6749 section 2.3.1: both parts are form-encoded before they are joined.
fn basic(client: &Client, secret: &SecretString) -> Result<HeaderValue, Error> {
    let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
    let pair = format!(
        "{}:{}",
        encode(&client.client_id),
        encode(secret.expose_secret())
    );
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))
        .map_err(|_| Error::Header(AUTHORIZATION.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

fn form(params: Map<String, Value>) -> String {
    let mut form = Serializer::new(String::new());
    for (name, value) in params {
        form.append_pair(&name, &plain(value));
    }
    form.finish()
}
