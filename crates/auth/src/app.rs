//! APP: an app that people install in their accounts. By a token that it signs
//! itself, the app asks the provider for a token of one installation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Method, Request, Uri};
use linkspan_providers::interpolate::{Unresolved, UrlText};
use linkspan_providers::{Config, ConfigValues, FieldError, TokenUrl};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value, json};
use url::Url;

use crate::oauth2::answer;
use crate::oauth2::begin::{plain, resolved};
use crate::redirect::{self, Begun, Callback, Kept};
use crate::scope::RequestScope;
use crate::sign::PrivateKey;
use crate::sign::jwt::{self, Algorithm, Key};
use crate::{
    AppKey, Client, Credentials, Entered, Error, Finished, Login, Rejected, TokenEndpoint, sign,
};

/// Names in a connection's configuration, which templates use.
const LINK: &str = "appPublicLink";
const APP_ID: &str = "app_id";
const INSTALLATION: &str = "installation_id";

/// How long before now the app's token begins, in seconds: clocks differ.
const BEFORE: i64 = 60;
/// How long after now it ends; all of its life is ten minutes, the most that is
/// allowed.
const AFTER: i64 = 540;

/// Buys a token for the installation that is named, by an import or by the
/// connection's configuration.
///
/// # Errors
/// Those of [`named`].
pub(crate) async fn log_in<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    _earlier: Option<&Login>,
    endpoint: &E,
) -> Result<Finished, Rejected> {
    let (login, metadata) = named(client, config, entered, endpoint).await?;
    Ok(finished(Credentials::App(login), metadata))
}

/// A token of the installation that is named, and what the connection's
/// configuration is to hold of it.
///
/// # Errors
/// [`Rejected::Field`] for an installation that cannot be one, or of another app,
/// [`Error::NoClient`] without an app, and those of a token request.
pub(crate) async fn named<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    endpoint: &E,
) -> Result<(Login, Map<String, Value>), Rejected> {
    let (client, app) = own(client)?;
    let given = |name: &str| entered.fields.get(name).map(String::as_str);
    if given(APP_ID).is_some_and(|id| !id.is_empty() && id != app.app_id) {
        let message = "is not the app of the integration's credentials";
        return Err(FieldError::new(APP_ID, message).into());
    }
    let kept = config.connection.value(INSTALLATION);
    let installation = given(INSTALLATION).or(kept.as_deref()).unwrap_or_default();
    check_installation(installation).map_err(|message| FieldError::new(INSTALLATION, message))?;
    Ok(install(client, app, config, installation, endpoint).await?)
}

/// The app's own page, from which the person installs it.
///
/// # Errors
/// [`Error::NoClient`] without an app, [`Error::Template`], [`Error::Url`].
pub(crate) fn begin(
    client: Option<&Client>,
    config: &Config<'_>,
    request: &redirect::Request<'_>,
) -> Result<Begun, Error> {
    let (client, app) = own(client)?;
    let template = config.template;
    let over = Map::from_iter([(LINK.to_owned(), app.app_link.clone().into())]);
    let config = laid_over(config, &over);
    let config = config.config();
    let scope = RequestScope::new(&config, Some(client), None);
    let text = needed(
        &config,
        template.authorization_url.as_ref(),
        "authorization_url",
    )?;
    let mut url = text.to_url(&scope)?;
    let mut params: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
    for (name, value) in resolved(template, &template.authorization_params, &scope)? {
        params.insert(name, plain(value));
    }
    params.insert("state".to_owned(), request.state.to_owned());
    url.query_pairs_mut().clear().extend_pairs(params);
    Ok(Begun {
        authorize_url: url,
        kept: Kept::default(),
    })
}

/// Takes the installation that the browser brought.
///
/// # Errors
/// [`Error::NoCode`] when it brought none, and those of a token request.
pub(crate) async fn finish<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    callback: &Callback<'_>,
    endpoint: &E,
) -> Result<Finished, Error> {
    let (client, app) = own(client)?;
    let installation = installed(callback)?.ok_or_else(|| match callback.get("setup_action") {
        Some(_) => Error::NoCode(
            "The installation has to be approved by an owner of the account. \
             Connect again when it is."
                .to_owned(),
        ),
        None => Error::NoCode(callback.refusal()),
    })?;
    let (login, metadata) = install(client, app, config, installation, endpoint).await?;
    Ok(finished(Credentials::App(login), metadata))
}

/// The installation that the browser brought, if it brought one.
///
/// # Errors
/// [`Error::NoCode`] for what cannot be one.
pub(crate) fn installed<'a>(callback: &'a Callback<'_>) -> Result<Option<&'a str>, Error> {
    let Some(installation) = callback.get(INSTALLATION) else {
        return Ok(None);
    };
    check_installation(installation)
        .map_err(|message| Error::NoCode(format!("{INSTALLATION} {message}")))?;
    Ok(Some(installation))
}

/// The installation that a connection is of.
///
/// # Errors
/// [`Error::Url`] if its configuration does not say.
pub(crate) fn kept(config: &Config<'_>) -> Result<String, Error> {
    let installation = config.connection.value(INSTALLATION);
    let unset = || Unresolved::Unset {
        path: format!("connectionConfig.{INSTALLATION}"),
    };
    Ok(installation.ok_or_else(unset)?.into_owned())
}

/// It becomes a part of addresses.
pub(crate) fn check_installation(id: &str) -> Result<(), &'static str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match id {
        "" => Err("is required"),
        id if id.len() <= 64 && id.chars().all(is_plain) => Ok(()),
        _ => Err("must be 1 to 64 letters, digits, - or _"),
    }
}

/// A token of an installation, and what the connection's configuration is to
/// hold of it.
pub(crate) async fn install<E: TokenEndpoint>(
    client: &Client,
    app: &AppKey,
    config: &Config<'_>,
    installation: &str,
    endpoint: &E,
) -> Result<(Login, Map<String, Value>), Error> {
    let mut metadata = Map::from_iter([
        (LINK.to_owned(), app.app_link.clone().into()),
        (APP_ID.to_owned(), app.app_id.clone().into()),
        (INSTALLATION.to_owned(), installation.into()),
    ]);
    let laid = laid_over(config, &metadata);
    let (login, said) = buy(client, app, &laid.config(), endpoint).await?;
    metadata.extend(said);
    Ok((login, metadata))
}

async fn buy<E: TokenEndpoint>(
    client: &Client,
    app: &AppKey,
    config: &Config<'_>,
    endpoint: &E,
) -> Result<(Login, Map<String, Value>), Error> {
    let template = config.template;
    let scope = RequestScope::new(config, Some(client), None);
    let url = template.token_url.as_ref().map(TokenUrl::app);
    let url = needed(config, url, "token_url")?.to_url(&scope)?;
    let issued_at = Utc::now();
    let bearer = jwt(app, issued_at)?;
    let response = endpoint.send(request(&url, &bearer)?).await?;
    let status = response.status().as_u16();
    let root = answer::object(response.body()).ok_or_else(|| Error::Unreadable {
        status,
        content_type: answer::content_type(&response),
    })?;
    let token = answer::text(&root, "token").or_else(|| answer::text(&root, "access_token"));
    let Some(token) = token.filter(|_| response.status().is_success()) else {
        return Err(answer::refusal(&root, status, &[&bearer]));
    };
    let login = Login {
        entered: BTreeMap::new(),
        token: SecretString::from(token),
        refresh_token: None,
        brought: BTreeMap::new(),
        expires_at: answer::expires_at(template, &root, issued_at),
        issued_at,
        raw: Value::Null,
    };
    let metadata = answer::metadata(template, &root);
    let raw = Value::Object(root);
    Ok((Login { raw, ..login }, metadata))
}

fn request(url: &Url, bearer: &str) -> Result<Request<Vec<u8>>, Error> {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() =
        Uri::try_from(url.as_str()).map_err(|error| Error::Path(error.to_string()))?;
    let mut value = HeaderValue::try_from(format!("Bearer {bearer}"))
        .map_err(|_| Error::Header(AUTHORIZATION.to_string()))?;
    value.set_sensitive(true);
    request.headers_mut().insert(AUTHORIZATION, value);
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    Ok(request)
}

/// What the app says who it is by (RFC 7519).
fn jwt(app: &AppKey, now: DateTime<Utc>) -> Result<String, Error> {
    let key = PrivateKey::from_pem(app.private_key.expose_secret())?;
    let claims = json!({
        "iat": now.timestamp() - BEFORE,
        "exp": now.timestamp() + AFTER,
        "iss": app.app_id,
    });
    Ok(signed(&key, claims)?)
}

fn signed(key: &PrivateKey, claims: Value) -> Result<String, sign::Error> {
    let header = Map::from_iter([("typ".to_owned(), "JWT".into())]);
    let claims = claims.as_object().cloned().unwrap_or_default();
    jwt::sign(Algorithm::Rs256, Key::Private(key), &header, &claims)
}

/// Whether an app can sign with this key: RSA, PEM.
///
/// # Errors
/// What is wrong with it, in words that do not repeat it.
pub fn check_key(pem: &str) -> Result<(), String> {
    let key = PrivateKey::from_pem(pem).and_then(|key| signed(&key, json!({})));
    key.map(drop).map_err(|error| error.to_string())
}

/// The integration's client and its app.
///
/// # Errors
/// [`Error::NoClient`].
pub(crate) fn own(client: Option<&Client>) -> Result<(&Client, &AppKey), Error> {
    let client = client.ok_or(Error::NoClient)?;
    let app = client.app.as_ref().ok_or(Error::NoClient)?;
    Ok((client, app))
}

pub(crate) fn finished(credentials: Credentials, metadata: Map<String, Value>) -> Finished {
    Finished {
        metadata,
        ..credentials.into()
    }
}

fn needed<'a>(
    config: &Config<'_>,
    url: Option<&'a UrlText>,
    key: &'static str,
) -> Result<&'a UrlText, Error> {
    url.ok_or_else(|| Error::Template {
        provider: config.template.slug.clone(),
        key,
    })
}

/// A connection's configuration with what is only being found out laid over it.
pub(crate) struct LaidOver<'a> {
    under: &'a Config<'a>,
    values: Values<'a>,
}

struct Values<'a> {
    over: &'a Map<String, Value>,
    under: &'a (dyn ConfigValues + Sync),
}

/// Lays values over those of a connection.
pub(crate) fn laid_over<'a>(under: &'a Config<'a>, over: &'a Map<String, Value>) -> LaidOver<'a> {
    let values = Values {
        over,
        under: under.connection,
    };
    LaidOver { under, values }
}

impl LaidOver<'_> {
    pub(crate) fn config(&self) -> Config<'_> {
        Config {
            template: self.under.template,
            connection: &self.values,
            integration: self.under.integration,
        }
    }
}

impl ConfigValues for Values<'_> {
    fn value(&self, key: &str) -> Option<Cow<'_, str>> {
        self.over.value(key).or_else(|| self.under.value(key))
    }
}

#[cfg(test)]
pub(crate) mod tests;
