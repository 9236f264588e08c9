//! Tokens beside the connection's own, with a refresh token that is spent by
//! itself. Each pair is stored before the next one is asked for, since what a
//! provider gives is lost with a process that ends before it is stored.

use linkspan_providers::{Config, Template};

use crate::{Client, Credentials, Error, TokenEndpoint, oauth2, quirks};

/// Whether [`refresh_beside`] has something to refresh.
#[must_use]
pub fn has_beside(template: &Template, credentials: &Credentials) -> bool {
    let (Ok(Some(quirk)), Credentials::OAuth2(tokens)) = (quirks::of(template), credentials) else {
        return false;
    };
    let beside = quirk.beside.as_ref();
    beside.is_some_and(|beside| (beside.refresh_token)(tokens).is_some())
}

/// Refreshes the tokens that are kept beside these, which were refreshed and stored
/// just now. Nothing if there are none.
///
/// # Errors
/// [`Error::NoClient`], and those of a token request.
pub async fn refresh_beside<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    credentials: &Credentials,
    endpoint: &E,
) -> Result<Option<Credentials>, Error> {
    let Credentials::OAuth2(tokens) = credentials else {
        return Ok(None);
    };
    let own = tokens.own_client.as_ref().map(Client::from);
    let client = client.or(own.as_ref()).ok_or(Error::NoClient)?;
    let fresh = oauth2::refresh_beside(client, config, tokens, endpoint).await?;
    Ok(fresh.map(Credentials::OAuth2))
}
