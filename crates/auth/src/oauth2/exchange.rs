//! Token requests: a code, or a refresh token, for new tokens.

use std::collections::BTreeMap;

use chrono::Utc;
use linkspan_providers::interpolate::UrlText;
use linkspan_providers::{Config, Param, Template, TokenUrl};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use super::begin::{asked, code_param, resolved};
use super::{Tokens, answer, token_request};
use crate::redirect::Callback;
use crate::scope::RequestScope;
use crate::{Client, Credentials, Error, Finished, TokenEndpoint, quirks};

/// What the browser brought back, and what was kept since [`super::begin`].
#[derive(Debug, Clone, Copy)]
pub struct CodeGrant<'a> {
    /// The authorisation code.
    pub code: &'a SecretString,
    /// The same as in the authorize URL, if there was one (RFC 6749 section 4.1.3).
    pub redirect_uri: Option<&'a str>,
    /// As [`super::begin`] gave it.
    pub pkce_verifier: Option<&'a SecretString>,
}

/// Exchanges the code that the browser brought back, by the name that the
/// template gives it.
///
/// # Errors
/// [`Error::NoCode`] with the provider's reason, and those of [`exchange`].
pub async fn finish<E: TokenEndpoint>(
    client: &Client,
    config: &Config<'_>,
    callback: &Callback<'_>,
    endpoint: &E,
) -> Result<Finished, Error> {
    let code = callback.get(code_param(config.template));
    let code = code.ok_or_else(|| Error::NoCode(callback.refusal()))?;
    let grant = CodeGrant {
        code: &SecretString::from(code),
        redirect_uri: Some(callback.redirect_uri),
        pkce_verifier: callback.kept.pkce_verifier.as_ref(),
    };
    exchange(client, config, &grant, endpoint).await
}

/// Exchanges a code for tokens (RFC 6749 section 4.1.3).
///
/// # Errors
/// [`Error::Refused`] with the provider's words, and the others that
/// [`Error`] lists for token requests.
pub async fn exchange<E: TokenEndpoint>(
    client: &Client,
    config: &Config<'_>,
    grant: &CodeGrant<'_>,
    endpoint: &E,
) -> Result<Finished, Error> {
    let client = &*client.of_connection(config);
    let code = grant.code.expose_secret();
    let verifier = grant.pkce_verifier.map(ExposeSecret::expose_secret);
    let mut params = params(&config.template.token_params, client, config)?;
    params
        .entry("grant_type")
        .or_insert_with(|| "authorization_code".into());
    params.insert("code".into(), code.into());
    if let Some(redirect_uri) = grant.redirect_uri {
        params.insert("redirect_uri".into(), redirect_uri.into());
    }
    if let Some(verifier) = verifier {
        params.insert("code_verifier".into(), verifier.into());
    }
    let url = config.template.token_url.as_ref().map(TokenUrl::oauth2);
    let secrets = [Some(code), verifier];
    let mut finished = send(client, config, url, params, &secrets, endpoint).await?;
    finished.missing_scopes = missing(config.template, client, finished.granted_scopes.as_deref());
    if let Credentials::OAuth2(tokens) = &mut finished.credentials {
        tokens.own_client = client.own(config);
    }
    Ok(finished)
}

/// What was asked for and not granted. A provider that says nothing granted all
/// (RFC 6749 section 5.1).
fn missing(template: &Template, client: &Client, granted: Option<&[String]>) -> Vec<String> {
    let Some(granted) = granted else {
        return Vec::new();
    };
    let asked = asked(template, client).iter();
    asked
        .filter(|scope| !granted.contains(scope))
        .cloned()
        .collect()
}

/// Buys new tokens with the refresh token (RFC 6749 section 6). The old refresh
/// token is kept when the answer has no new one, and so are tokens that a quirk keeps
/// beside: [`refresh_beside`] is for these.
///
/// # Errors
/// [`Error::NoRefreshToken`], and those of [`exchange`].
pub async fn refresh<E: TokenEndpoint>(
    client: &Client,
    config: &Config<'_>,
    tokens: &Tokens,
    endpoint: &E,
) -> Result<Finished, Error> {
    let client = &*client.or_own(tokens.own_client.as_ref());
    let spent = tokens.refresh_token.as_ref().ok_or(Error::NoRefreshToken)?;
    let mut finished = renew(client, config, tokens, spent, endpoint).await?;
    let Credentials::OAuth2(fresh) = &mut finished.credentials else {
        return Ok(finished);
    };
    fresh.refresh_token.get_or_insert_with(|| spent.clone());
    fresh.own_client.clone_from(&tokens.own_client);
    let quirk = quirks::of(config.template)?;
    if let Some(beside) = quirk.and_then(|quirk| quirk.beside.as_ref()) {
        (beside.keep)(fresh, tokens, None);
    }
    Ok(finished)
}

/// Buys the tokens that a quirk keeps beside these. Nothing if there are none.
///
/// # Errors
/// Those of [`exchange`].
pub async fn refresh_beside<E: TokenEndpoint>(
    client: &Client,
    config: &Config<'_>,
    tokens: &Tokens,
    endpoint: &E,
) -> Result<Option<Tokens>, Error> {
    let quirk = quirks::of(config.template)?;
    let Some(beside) = quirk.and_then(|quirk| quirk.beside.as_ref()) else {
        return Ok(None);
    };
    let Some(spent) = (beside.refresh_token)(tokens) else {
        return Ok(None);
    };
    let client = &*client.or_own(tokens.own_client.as_ref());
    let bought = renew(client, config, tokens, &spent, endpoint).await?;
    let Credentials::OAuth2(theirs) = &bought.credentials else {
        return Ok(None);
    };
    let mut fresh = tokens.clone();
    (beside.keep)(&mut fresh, tokens, Some(theirs));
    Ok(Some(fresh))
}

/// One refresh request, for the connection's own tokens or those beside them.
async fn renew<E: TokenEndpoint>(
    client: &Client,
    config: &Config<'_>,
    tokens: &Tokens,
    spent: &SecretString,
    endpoint: &E,
) -> Result<Finished, Error> {
    let template = config.template;
    let mut params = match &template.refresh_params {
        Some(own) => params(own, client, config)?,
        None => {
            let mut shared = params(&template.token_params, client, config)?;
            shared.remove("grant_type");
            shared
        }
    };
    params
        .entry("grant_type")
        .or_insert_with(|| "refresh_token".into());
    params.insert("refresh_token".into(), spent.expose_secret().into());
    let url = template
        .refresh_url
        .as_ref()
        .or(template.token_url.as_ref().map(TokenUrl::oauth2));
    let secrets = [
        Some(spent.expose_secret()),
        Some(tokens.access_token.expose_secret()),
    ];
    send(client, config, url, params, &secrets, endpoint).await
}

fn params(
    params: &BTreeMap<String, Param>,
    client: &Client,
    config: &Config<'_>,
) -> Result<Map<String, Value>, Error> {
    resolved(
        config.template,
        params,
        &RequestScope::new(config, Some(client), None),
    )
}

async fn send<E: TokenEndpoint>(
    client: &Client,
    config: &Config<'_>,
    url: Option<&UrlText>,
    params: Map<String, Value>,
    secrets: &[Option<&str>],
    endpoint: &E,
) -> Result<Finished, Error> {
    let template = config.template;
    let missing = || Error::Template {
        provider: template.slug.clone(),
        key: "token_url",
    };
    let url = url
        .ok_or_else(missing)?
        .to_url(&RequestScope::new(config, Some(client), None))?;
    let request = token_request::build(template, client, &url, params)?;
    // Taken before the call: a slow answer must not make a token look younger.
    let issued_at = Utc::now();
    let response = endpoint.send(request).await?;
    let client_secret = client
        .client_secret
        .as_ref()
        .map(ExposeSecret::expose_secret);
    let secrets: Vec<&str> = secrets
        .iter()
        .copied()
        .chain([client_secret])
        .flatten()
        .collect();
    answer::read(template, &response, issued_at, &secrets)
}
