//! CUSTOM: an app that is installed in an account, with the tokens of the person
//! who did it. The browser brings a code for the person's and names the
//! installation; where somebody has to approve that first, a webhook names it
//! later ([`complete`]).

mod listed;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use linkspan_providers::Config;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::oauth2::{self, CodeGrant, Tokens};
use crate::redirect::Callback;
use crate::{
    Client, Credentials, Entered, Error, Finished, Login, Rejected, TokenEndpoint, app, expiry,
};

/// Both credentials. Without the app's, a webhook has yet to say that it was
/// installed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Custom {
    /// The installed app's.
    pub app: Option<Login>,
    /// The person's.
    pub user: Option<Tokens>,
}

impl Custom {
    pub(crate) fn to_wire(&self) -> Value {
        json!({
            "type": "CUSTOM",
            "app": self.app.as_ref().map(|app| app.to_wire("APP", Some("access_token"))),
            "user": self.user.as_ref().map(Tokens::to_wire),
            "raw": {},
        })
    }

    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        self.app.as_ref()?.field(name)
    }

    pub(crate) fn expires_at(&self) -> Option<DateTime<Utc>> {
        self.app.as_ref()?.expires_at
    }

    pub(crate) fn issued_at(&self) -> Option<DateTime<Utc>> {
        Some(self.app.as_ref()?.issued_at)
    }
}

/// Exchanges the person's code, and buys a token of the installation if the
/// browser named one that is the person's. The connection is pending otherwise.
///
/// # Errors
/// [`Error::NoCode`], [`Error::NoClient`], and those of both token requests.
pub(crate) async fn finish<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    callback: &Callback<'_>,
    endpoint: &E,
) -> Result<Finished, Error> {
    let (client, key) = app::own(client)?;
    let installation = app::installed(callback)?;
    let code = callback.get("code").ok_or_else(|| {
        Error::NoCode(match installation {
            Some(_) => "The app was installed without the person's authorisation: turn on in \
                        the app's settings that it asks for it during installation."
                .to_owned(),
            None => callback.refusal(),
        })
    })?;
    let grant = CodeGrant {
        code: &SecretString::from(code),
        redirect_uri: Some(callback.redirect_uri),
        // The way led over the app's page, which takes no challenge.
        pkce_verifier: None,
    };
    let mut finished = oauth2::exchange(client, config, &grant, endpoint).await?;
    let user = match finished.credentials {
        Credentials::OAuth2(tokens) => Some(tokens),
        other => return Err(Error::WrongMode(other.mode())),
    };
    let app = match installation {
        Some(installation) => {
            if let Some(user) = &user {
                listed::check(client, config, user, installation, endpoint).await?;
            }
            let bought = app::install(client, key, config, installation, endpoint).await?;
            finished.metadata.extend(bought.1);
            Some(bought.0)
        }
        None => None,
    };
    finished.credentials = Credentials::Custom(Custom { app, user });
    Ok(finished)
}

/// Buys a token of the installation that an import names. The person's tokens are
/// not imported: calls carry the app's.
///
/// # Errors
/// Those of [`app::named`].
pub(crate) async fn log_in<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    endpoint: &E,
) -> Result<Finished, Rejected> {
    let (login, metadata) = app::named(client, config, entered, endpoint).await?;
    let credentials = Credentials::Custom(Custom {
        app: Some(login),
        user: None,
    });
    Ok(app::finished(credentials, metadata))
}

impl Credentials {
    /// What a connection that has `stored` is to have when these come: these, unless
    /// they are pending and the stored ones work. Then the stored app's token stays
    /// beside the person's new ones, and nothing comes of those that are only a
    /// promise.
    #[must_use]
    pub fn in_place_of(self, stored: &Self) -> Option<Self> {
        if !self.is_pending() || stored.is_pending() {
            return Some(self);
        }
        match (self, stored) {
            (Self::Custom(fresh), Self::Custom(stored)) => Some(Self::Custom(Custom {
                app: stored.app.clone(),
                user: fresh.user,
            })),
            _ => None,
        }
    }
}

/// Completes a pending connection with the installation that a webhook names.
///
/// # Errors
/// [`Error::WrongMode`] for credentials of another mode, [`Error::NoClient`], and
/// those of a token request.
pub async fn complete<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    pending: &Credentials,
    installation: &str,
    endpoint: &E,
) -> Result<Finished, Error> {
    let Credentials::Custom(pending) = pending else {
        return Err(Error::WrongMode(pending.mode()));
    };
    let (client, key) = app::own(client)?;
    app::check_installation(installation)
        .map_err(|message| Error::Unusable(format!("the webhook's installation {message}")))?;
    let (login, metadata) = app::install(client, key, config, installation, endpoint).await?;
    let credentials = Credentials::Custom(Custom {
        app: Some(login),
        user: pending.user.clone(),
    });
    Ok(app::finished(credentials, metadata))
}

/// Buys a new token for the installation, and for the person if theirs is due,
/// whose failure costs nothing else: it is told in [`Finished::warning`].
///
/// # Errors
/// [`Error::Pending`], [`Error::NoClient`], [`Error::Url`] if the configuration
/// has lost the installation, and those of a token request.
pub(crate) async fn refresh<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    credentials: &Custom,
    endpoint: &E,
) -> Result<Finished, Error> {
    if credentials.app.is_none() {
        return Err(Error::Pending);
    }
    let (client, key) = app::own(client)?;
    let installation = app::kept(config)?;
    let (login, metadata) = app::install(client, key, config, &installation, endpoint).await?;
    let (user, warning) = match &credentials.user {
        Some(tokens) if is_due(tokens, config) => renewed(
            tokens,
            oauth2::refresh(client, config, tokens, endpoint).await,
        ),
        other => (other.clone(), None),
    };
    let credentials = Credentials::Custom(Custom {
        app: Some(login),
        user,
    });
    Ok(Finished {
        warning,
        ..app::finished(credentials, metadata)
    })
}

fn is_due(tokens: &Tokens, config: &Config<'_>) -> bool {
    let credentials = Credentials::OAuth2(tokens.clone());
    let buffer = config.template.token_expiration_buffer;
    credentials.can_refresh() && expiry::is_due(&credentials, Utc::now(), buffer)
}

/// The person's new tokens, or the old ones and why there are no new ones.
fn renewed(old: &Tokens, asked: Result<Finished, Error>) -> (Option<Tokens>, Option<Error>) {
    match asked {
        Ok(Finished {
            credentials: Credentials::OAuth2(fresh),
            warning,
            ..
        }) => (Some(fresh), warning),
        Ok(other) => (Some(old.clone()), other.warning),
        Err(error) => (Some(old.clone()), Some(error)),
    }
}

#[cfg(test)]
mod tests;
