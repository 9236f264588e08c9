//! OAUTH1: OAuth 1.0a (RFC 5849). It knows no `state`, so that ours goes in the
//! query of the callback's address, which is signed.

mod request;
#[cfg(test)]
mod tests;
mod token;

use std::collections::BTreeMap;

use linkspan_providers::interpolate::UrlText;
use linkspan_providers::{Config, Template, TokenUrl};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

use crate::oauth2::answer;
use crate::oauth2::begin::{plain, resolved};
use crate::redirect::{Begun, Callback, Kept, Request};
use crate::scope::RequestScope;
use crate::{Client, Credentials, Error, Finished, TokenEndpoint, quirks, sign};

use request::Asking;
pub(crate) use request::{VERSION, client, hmac_sha256};
pub use token::{RequestToken, Token};

/// Parameters of the authorisation page that a caller may not set: they belong
/// to the flow.
const RESERVED: [&str; 3] = ["oauth_callback", "oauth_token", "scope"];

/// Asks for temporary credentials (RFC 5849 section 2.1) and gives the page where
/// the person allows the access (section 2.2).
///
/// # Errors
/// [`Error::NoClient`], [`Error::Template`], [`Error::Url`], [`Error::Sign`], and
/// what kept the provider from giving temporary credentials.
pub(crate) async fn begin<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    request: &Request<'_>,
    endpoint: &E,
) -> Result<Begun, Error> {
    let template = config.template;
    let client = &*client.ok_or(Error::NoClient)?.of_connection(config);
    let scope = RequestScope::new(config, Some(client), None);
    let form = resolved(template, &template.request_params, &scope)?;
    let back = callback_url(request)?;
    let asking = Asking {
        template,
        client,
        url: needed(template, template.request_url.as_ref(), "request_url")?.to_url(&scope)?,
        token: None,
        form: form
            .into_iter()
            .map(|(name, value)| (name, plain(value)))
            .collect(),
        extra: &[("oauth_callback", back.as_str())],
        secrets: &[request.state],
    };
    let given = asking.send(endpoint).await?;
    let authorize_url = authorize_url(client, config, request, &given.token, &back)?;
    let request_token = Some(RequestToken {
        token: given.token,
        token_secret: given.token_secret,
    });
    Ok(Begun {
        authorize_url,
        kept: Kept {
            request_token,
            ..Kept::default()
        },
    })
}

/// The callback's address with the state in its query.
fn callback_url(request: &Request<'_>) -> Result<Url, Error> {
    let mut url =
        Url::parse(request.redirect_uri).map_err(|error| Error::Path(error.to_string()))?;
    url.query_pairs_mut().append_pair("state", request.state);
    Ok(url)
}

/// Later parameters replace earlier ones: the URL's own, the template's, the
/// caller's, the flow's. `oauth_callback` is there for providers that read it
/// from the page's address as well.
fn authorize_url(
    client: &Client,
    config: &Config<'_>,
    request: &Request<'_>,
    token: &str,
    back: &Url,
) -> Result<Url, Error> {
    let template = config.template;
    let scope = RequestScope::new(config, Some(client), None);
    let text = needed(
        template,
        template.authorization_url.as_ref(),
        "authorization_url",
    )?;
    let mut url = text.to_url(&scope)?;
    let mut params: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    let scopes = match client.scopes.is_empty() {
        true => &template.default_scopes,
        false => &client.scopes,
    };
    if !scopes.is_empty() {
        let scopes = scopes.join(template.scope_separator());
        params.insert("scope".to_owned(), scopes);
    }
    for (name, value) in resolved(template, &template.authorization_params, &scope)? {
        params.insert(name, plain(value));
    }
    let is_free = |name: &str| {
        let mut reserved = RESERVED.into_iter().chain(quirks::reserved_params());
        !reserved.any(|reserved| reserved == name)
    };
    let callers = request.authorization_params.iter();
    let callers = callers.filter(|(name, _)| is_free(name));
    params.extend(callers.map(|(name, value)| (name.clone(), value.clone())));
    params.insert("oauth_token".to_owned(), token.to_owned());
    params.insert("oauth_callback".to_owned(), back.to_string());
    url.query_pairs_mut().clear().extend_pairs(params);
    Ok(url)
}

/// Exchanges the temporary credentials, which the person has allowed, for those
/// of calls (RFC 5849 section 2.3).
///
/// # Errors
/// [`Error::NoCode`] when the browser brought no verifier, or one of another
/// authorisation; and as [`begin`].
pub(crate) async fn finish<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    callback: &Callback<'_>,
    endpoint: &E,
) -> Result<Finished, Error> {
    let template = config.template;
    let client = &*client.ok_or(Error::NoClient)?.of_connection(config);
    let (kept, verifier) = verified(callback)?;
    let scope = RequestScope::new(config, Some(client), None);
    let token_secret = kept.token_secret.expose_secret();
    let url = template.token_url.as_ref().map(TokenUrl::oauth2);
    let asking = Asking {
        template,
        client,
        url: needed(template, url, "token_url")?.to_url(&scope)?,
        token: Some(sign::oauth1::Token {
            key: &kept.token,
            secret: token_secret,
        }),
        form: Vec::new(),
        extra: &[("oauth_verifier", verifier)],
        secrets: &[verifier, &kept.token, token_secret],
    };
    let given = asking.send(endpoint).await?;
    let metadata = answer::metadata(template, &given.raw);
    let credentials = Credentials::OAuth1(Token {
        token: SecretString::from(given.token),
        token_secret: given.token_secret,
        raw: given.raw.into(),
        own_client: client.own(config),
    });
    Ok(Finished {
        metadata,
        ..credentials.into()
    })
}

/// The temporary credentials that were kept, and the verifier that the browser
/// brought for them.
fn verified<'a>(callback: &Callback<'a>) -> Result<(&'a RequestToken, &'a str), Error> {
    let no_code = |message: &str| Error::NoCode(message.to_owned());
    let kept = callback.kept.request_token.as_ref();
    let kept =
        kept.ok_or_else(|| no_code("This authorisation cannot be finished. Start again."))?;
    let get = |name: &str| {
        let value = callback.query.get(name).map(String::as_str);
        value.filter(|value| !value.is_empty())
    };
    if get("denied").is_some() {
        return Err(no_code("The access was denied on the provider's page."));
    }
    // OAuth Problem Reporting, an extension that many providers have.
    if let Some(problem) = get("oauth_problem") {
        let problem: String = problem.chars().take(100).collect();
        return Err(Error::NoCode(format!("The provider refused: {problem}")));
    }
    let (Some(named), Some(verifier)) = (get("oauth_token"), get("oauth_verifier")) else {
        return Err(Error::NoCode(callback.refusal()));
    };
    if named != kept.token {
        return Err(no_code(
            "The provider came back with the token of another authorisation. Start again.",
        ));
    }
    Ok((kept, verifier))
}

fn needed<'a>(
    template: &Template,
    url: Option<&'a UrlText>,
    key: &'static str,
) -> Result<&'a UrlText, Error> {
    url.ok_or_else(|| Error::Template {
        provider: template.slug.clone(),
        key,
    })
}
