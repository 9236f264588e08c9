//! The request to the token endpoint.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Request};
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
    let mut request = Request::post(url.as_str()).header(ACCEPT, "application/json");

    // A public client has nothing to authenticate with; it says who it is.
    let secret = client.client_secret.as_ref();
    match (secret, in_header(template).map_err(unsupported)?) {
        (Some(secret), true) => request = request.header(AUTHORIZATION, basic(client, secret)?),
        _ => {
            params.insert("client_id".into(), client.client_id.clone().into());
            if let Some(secret) = secret {
                params.insert("client_secret".into(), secret.expose_secret().into());
            }
        }
    }

    let (content_type, body) = match template.body_format.unwrap_or(BodyFormat::Form) {
        BodyFormat::Form => ("application/x-www-form-urlencoded", form(params)),
        BodyFormat::Json => ("application/json", Value::Object(params).to_string()),
        BodyFormat::Query => return Err(unsupported("token parameters in the query")),
        BodyFormat::Xml => return Err(unsupported("an XML token request")),
    };
    request
        .header(CONTENT_TYPE, content_type)
        .body(body.into_bytes())
        .map_err(|error| Error::Path(error.to_string()))
}

/// Whether the client authenticates in a header, or which feature that takes.
fn in_header(template: &Template) -> Result<bool, &'static str> {
    match template.token_request_auth_method {
        Some(TokenRequestAuthMethod::Basic) => Ok(true),
        Some(TokenRequestAuthMethod::Custom) => Err("a custom client authentication"),
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
