//! Asking for a role's keys: AWS' Security Token Service (its API reference,
//! AssumeRole), or a service of the developer's.

use chrono::{DateTime, Utc};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use linkspan_providers::{Config, TokenUrl};
use ring::rand::{SecureRandom, SystemRandom};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;
use url::form_urlencoded::Serializer;

use super::settings::{Settings, Source};
use super::{Keys, LIFE, REGION, SERVICE, Wanted, answer};
use crate::scope::RequestScope;
use crate::sign::aws_sigv4::{Payload, Signer};
use crate::sign::hex;
use crate::{Error, TokenEndpoint};

pub(super) async fn keys<E: TokenEndpoint>(
    config: &Config<'_>,
    settings: &Settings,
    wanted: &Wanted<'_>,
    now: DateTime<Utc>,
    endpoint: &E,
) -> Result<Keys, Error> {
    match &settings.source {
        Source::Aws {
            access_key,
            secret_key,
        } => {
            let url = address(config, wanted)?;
            let request = assume(&url, wanted, access_key, secret_key, now)?;
            let response = endpoint.send(request).await?;
            let secrets = [secret_key.expose_secret(), wanted.external_id];
            Ok(answer::of_aws(&response, &secrets)?)
        }
        Source::Custom { url, header } => {
            let body = json!({
                "role_arn": wanted.role,
                "external_id": wanted.external_id,
                "region": wanted.region,
                "service": wanted.service,
            });
            let mut request = post(url, "application/json", body.to_string())?;
            let accept = HeaderValue::from_static("application/json");
            request.headers_mut().insert(ACCEPT, accept);
            request.headers_mut().extend(header.clone());
            let response = endpoint.send(request).await?;
            let sent = header.as_ref().and_then(|(_, value)| value.to_str().ok());
            let secrets = [sent.unwrap_or_default(), wanted.external_id];
            Ok(answer::of_service(&response, &secrets)?)
        }
    }
}

/// Where the service is in the region, unless the template has a `token_url`: for
/// networks that reach it by an endpoint of their own.
fn address(config: &Config<'_>, wanted: &Wanted<'_>) -> Result<Url, Error> {
    let connection = Map::from_iter([
        (REGION.to_owned(), Value::from(wanted.region)),
        (SERVICE.to_owned(), Value::from(wanted.service)),
    ]);
    if let Some(url) = config.template.token_url.as_ref().map(TokenUrl::oauth2) {
        let config = Config {
            connection: &connection,
            ..*config
        };
        return Ok(url.to_url(&RequestScope::new(&config, None, None))?);
    }
    let region = wanted.region;
    let domain = match region.starts_with("cn-") {
        true => "amazonaws.com.cn",
        false => "amazonaws.com",
    };
    Url::parse(&format!("https://sts.{region}.{domain}/"))
        .map_err(|error| Error::Path(error.to_string()))
}

fn assume(
    url: &Url,
    wanted: &Wanted<'_>,
    access_key: &str,
    secret_key: &SecretString,
    now: DateTime<Utc>,
) -> Result<Request<Vec<u8>>, Error> {
    let body = Serializer::new(String::new())
        .append_pair("Action", "AssumeRole")
        .append_pair("Version", "2011-06-15")
        .append_pair("RoleArn", wanted.role)
        .append_pair("RoleSessionName", &session_name()?)
        .append_pair("ExternalId", wanted.external_id)
        .append_pair("DurationSeconds", &LIFE.num_seconds().to_string())
        .finish();
    let mut request = post(
        url,
        "application/x-www-form-urlencoded; charset=utf-8",
        body,
    )?;
    let signer = Signer {
        access_key,
        secret_key: secret_key.expose_secret(),
        session_token: None,
        region: wanted.region,
        service: "sts",
        now,
    };
    let mut headers = request.headers().clone();
    signer.sign(
        &Method::POST,
        url,
        &mut headers,
        Payload::Bytes(request.body()),
    )?;
    *request.headers_mut() = headers;
    Ok(request)
}

/// What the account's own logs call the use of the role.
fn session_name() -> Result<String, Error> {
    let mut bytes = [0; 8];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Random)?;
    Ok(format!("linkspan-{}", hex(&bytes)))
}

fn post(url: &Url, content_type: &'static str, body: String) -> Result<Request<Vec<u8>>, Error> {
    let mut request = Request::new(body.into_bytes());
    *request.method_mut() = Method::POST;
    *request.uri_mut() =
        Uri::try_from(url.as_str()).map_err(|error| Error::Path(error.to_string()))?;
    let content_type = HeaderValue::from_static(content_type);
    request.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(request)
}
