//! Whether the person who connects may use the installation that the browser
//! named, which anybody could have named.

use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, Uri};
use linkspan_providers::Config;
use secrecy::ExposeSecret;
use serde_json::Value;

use crate::oauth2::{Tokens, answer};
use crate::quirks::{self, Installations};
use crate::scope::RequestScope;
use crate::{Client, Error, TokenEndpoint};

/// How many are asked for at a time, and how often at most.
const PER_PAGE: usize = 100;
const PAGES: usize = 100;

/// Looks for the installation among those of the person, where the provider lists
/// them.
///
/// # Errors
/// [`Error::NoCode`] if it is not one of them, and those of a token request.
pub(super) async fn check<E: TokenEndpoint>(
    client: &Client,
    config: &Config<'_>,
    user: &Tokens,
    installation: &str,
    endpoint: &E,
) -> Result<(), Error> {
    let quirk = quirks::of(config.template)?;
    let Some(list) = quirk.and_then(|quirk| quirk.installations.as_ref()) else {
        return Ok(());
    };
    for page in 1..=PAGES {
        let request = request(client, config, user, list, page)?;
        let (has_it, count) = read(list, user, installation, &endpoint.send(request).await?)?;
        if has_it {
            return Ok(());
        }
        if count < PER_PAGE {
            break;
        }
    }
    Err(Error::NoCode(
        "The installation is not one that the person who connects may use: connect as somebody \
         who has access to it at the provider."
            .to_owned(),
    ))
}

fn request(
    client: &Client,
    config: &Config<'_>,
    user: &Tokens,
    list: &Installations,
    page: usize,
) -> Result<Request<Vec<u8>>, Error> {
    let template = config.template;
    let proxy = template.proxy.as_ref().ok_or_else(|| Error::Template {
        provider: template.slug.clone(),
        key: "proxy.base_url",
    })?;
    let base = proxy
        .base_url
        .evaluate(&RequestScope::new(config, Some(client), None))?;
    let base = base.trim_end_matches('/');
    let url = format!("{base}{}?per_page={PER_PAGE}&page={page}", list.path);
    let mut request = Request::new(Vec::new());
    *request.uri_mut() = Uri::try_from(url).map_err(|error| Error::Path(error.to_string()))?;
    let mut bearer = user.bearer()?;
    bearer.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, bearer);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    Ok(request)
}

/// Whether a page has the installation, and how many it has.
fn read(
    list: &Installations,
    user: &Tokens,
    installation: &str,
    response: &http::Response<Vec<u8>>,
) -> Result<(bool, usize), Error> {
    let status = response.status().as_u16();
    let unreadable = || Error::Unreadable {
        status,
        content_type: answer::content_type(response),
    };
    let root = answer::object(response.body()).ok_or_else(unreadable)?;
    if !response.status().is_success() {
        let token = user.access_token.expose_secret();
        return Err(answer::refusal(&root, status, &[token]));
    }
    let items = root.get(list.items).and_then(Value::as_array);
    let items = items.ok_or_else(unreadable)?;
    let is_it = |item: &Value| match &item[list.id] {
        Value::Number(number) => number.to_string() == installation,
        Value::String(text) => text == installation,
        _ => false,
    };
    Ok((items.iter().any(is_it), items.len()))
}
