//! The table of modes: everything that depends on the auth mode is chosen here.

use std::borrow::Cow;
use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use http::{HeaderMap, HeaderValue};
use linkspan_providers::{AuthMode, Config, FieldError, Installation, Template};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::client::OwnClient;
use crate::redirect::{Begun, Callback, Request};
use crate::request::{ToSign, is_form};
use crate::{
    Client, Credentials, Entered, Error, Finished, Login, Rejected, TokenEndpoint, api_key, app,
    aws_sigv4, basic, bill, client_credentials, custom, install_plugin, jwt, mcp, oauth1, oauth2,
    outbound, signature, tba, two_step,
};

/// How a person connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// The browser is sent to the provider and comes back to the callback.
    Redirect,
    /// The person enters the fields of the template's `credentials`, which may
    /// be none.
    Fields,
    /// The person installs something on the provider's own pages, and a webhook
    /// brings what is exchanged for credentials.
    Outbound,
}

/// How a person connects to this provider.
#[must_use]
pub fn entry(template: &Template) -> Entry {
    match template.auth_mode {
        AuthMode::OAuth2 if template.installation == Some(Installation::Outbound) => {
            Entry::Outbound
        }
        AuthMode::OAuth1
        | AuthMode::OAuth2
        | AuthMode::App
        | AuthMode::Custom
        | AuthMode::InstallPlugin
        | AuthMode::McpOAuth2
        | AuthMode::McpOAuth2Generic => Entry::Redirect,
        AuthMode::OAuth2Cc
        | AuthMode::ApiKey
        | AuthMode::Basic
        | AuthMode::TwoStep
        | AuthMode::Jwt
        | AuthMode::Tba
        | AuthMode::Bill
        | AuthMode::Signature
        | AuthMode::AwsSigV4
        | AuthMode::AppStore
        | AuthMode::None => Entry::Fields,
    }
}

/// Whether an integration has a client of its own with the provider.
#[must_use]
pub const fn has_client(mode: AuthMode) -> bool {
    matches!(
        mode,
        AuthMode::OAuth1
            | AuthMode::OAuth2
            | AuthMode::App
            | AuthMode::Custom
            | AuthMode::Tba
            | AuthMode::InstallPlugin
            | AuthMode::McpOAuth2
    )
}

/// The type of credentials that an integration may have with the provider, if
/// any: those of its mode, and for the modes in which people bring clients of
/// their own, a client that stands in for theirs.
#[must_use]
pub const fn own_kind(mode: AuthMode) -> Option<AuthMode> {
    match mode {
        AuthMode::OAuth2Cc => Some(AuthMode::OAuth2),
        mode if has_client(mode) => Some(mode),
        _ => None,
    }
}

/// Whether credentials keep a client that the connection's configuration brought.
pub(crate) const fn keeps_brought_client(mode: AuthMode) -> bool {
    // There, the client is what the person enters, and is kept as that.
    !matches!(mode, AuthMode::OAuth2Cc)
}

/// Whether an integration needs a client that a developer enters: this server is
/// its own client with some providers.
#[must_use]
pub fn needs_client(template: &Template) -> bool {
    let is_own = mcp::registers(template) || mcp::has_document(template);
    has_client(template.auth_mode) && !is_own
}

/// Whether the integration's client signs each call to the API.
#[must_use]
pub const fn signs_with_client(mode: AuthMode) -> bool {
    matches!(mode, AuthMode::OAuth1 | AuthMode::Tba)
}

/// Values of a connection's configuration that this server makes up when a session
/// begins, so that the person can be shown them before connecting.
#[must_use]
pub const fn made_up(mode: AuthMode) -> &'static [&'static str] {
    match mode {
        AuthMode::AwsSigV4 => &[aws_sigv4::EXTERNAL_ID],
        _ => &[],
    }
}

/// Values of a connection's configuration that are not the browser's to say.
#[must_use]
pub const fn backends(mode: AuthMode) -> &'static [&'static str] {
    match mode {
        AuthMode::AwsSigV4 => &[aws_sigv4::EXTERNAL_ID, aws_sigv4::BASE_URL],
        _ => &[],
    }
}

/// The API's address, where the mode lets the connection's configuration say it
/// in the template's place (CONTRACT 2.7).
pub(crate) fn base_url<'a>(config: &'a Config<'_>) -> Option<Cow<'a, str>> {
    match config.template.auth_mode {
        AuthMode::AwsSigV4 => config
            .connection
            .value(aws_sigv4::BASE_URL)
            .filter(|url| !url.is_empty()),
        _ => None,
    }
}

/// Makes credentials of what a person entered, with a request to the provider
/// where the mode logs in.
///
/// # Errors
/// [`Rejected::Field`]: the first field that is missing, unknown or malformed,
/// and `type` if the mode takes no fields. [`Rejected::Auth`]: what kept the
/// provider from giving a token.
pub async fn connect<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    endpoint: &E,
) -> Result<Finished, Rejected> {
    let template = config.template;
    let fields = &entered.fields;
    let credentials = match template.auth_mode {
        AuthMode::ApiKey => api_key::accept(template, fields)?,
        AuthMode::Basic => basic::accept(template, fields)?,
        AuthMode::Tba => tba::accept(client, entered)?,
        AuthMode::OAuth2 if entry(template) == Entry::Outbound => {
            outbound::accept(client, entered)?
        }
        AuthMode::None => nothing(fields)?,
        mode => return log_in(mode, client, config, entered, None, endpoint).await,
    };
    Ok(credentials.into())
}

fn nothing(fields: &BTreeMap<String, String>) -> Result<Credentials, FieldError> {
    match fields.keys().next() {
        None => Ok(Credentials::None),
        Some(unknown) => Err(FieldError::new(unknown, "is not a field of this provider")),
    }
}

async fn log_in<E: TokenEndpoint>(
    mode: AuthMode,
    client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    earlier: Option<&Login>,
    endpoint: &E,
) -> Result<Finished, Rejected> {
    match mode {
        AuthMode::OAuth2Cc => {
            client_credentials::log_in(client, config, entered, earlier, endpoint).await
        }
        AuthMode::TwoStep => two_step::log_in(client, config, entered, earlier, endpoint).await,
        AuthMode::Jwt => jwt::log_in(client, config, entered, earlier, endpoint).await,
        AuthMode::App => app::log_in(client, config, entered, earlier, endpoint).await,
        AuthMode::Custom => custom::log_in(client, config, entered, endpoint).await,
        AuthMode::Bill => bill::log_in(client, config, entered, earlier, endpoint).await,
        AuthMode::Signature => signature::log_in(client, config, entered, earlier, endpoint).await,
        AuthMode::AwsSigV4 => aws_sigv4::log_in(client, config, entered, earlier, endpoint).await,
        mode => {
            let message = format!("takes no fields in auth mode {mode}");
            Err(FieldError::new("type", message).into())
        }
    }
}

/// Where to send the person's browser, and what to keep until it comes back.
///
/// # Errors
/// [`Error::WrongMode`] for modes without a browser, [`Error::NoClient`], and
/// those of the mode.
pub async fn begin<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    request: &Request<'_>,
    endpoint: &E,
) -> Result<Begun, Error> {
    match config.template.auth_mode {
        AuthMode::OAuth2 => oauth2::begin(client.ok_or(Error::NoClient)?, config, request),
        AuthMode::OAuth1 => oauth1::begin(client, config, request, endpoint).await,
        AuthMode::App | AuthMode::Custom => app::begin(client, config, request),
        AuthMode::InstallPlugin => install_plugin::begin(client, request),
        AuthMode::McpOAuth2 | AuthMode::McpOAuth2Generic => {
            mcp::begin(client, config, request, endpoint).await
        }
        mode => Err(Error::WrongMode(mode)),
    }
}

/// Makes credentials of what the browser brought back.
///
/// # Errors
/// [`Error::NoCode`] with the provider's reason, and those of the mode.
pub async fn finish<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    callback: &Callback<'_>,
    endpoint: &E,
) -> Result<Finished, Error> {
    match config.template.auth_mode {
        AuthMode::OAuth2 => {
            let client = client.ok_or(Error::NoClient)?;
            oauth2::finish(client, config, callback, endpoint).await
        }
        AuthMode::OAuth1 => oauth1::finish(client, config, callback, endpoint).await,
        AuthMode::App => app::finish(client, config, callback, endpoint).await,
        AuthMode::Custom => custom::finish(client, config, callback, endpoint).await,
        AuthMode::InstallPlugin => install_plugin::finish(client, config, callback),
        AuthMode::McpOAuth2 | AuthMode::McpOAuth2Generic => {
            mcp::finish(client, config, callback, endpoint).await
        }
        mode => Err(Error::WrongMode(mode)),
    }
}

/// Gets new credentials in place of those that expire.
///
/// # Errors
/// [`Error::WrongMode`] for credentials that do not expire, and those of the mode.
pub async fn refresh<E: TokenEndpoint>(
    client: Option<&Client>,
    config: &Config<'_>,
    credentials: &Credentials,
    endpoint: &E,
) -> Result<Finished, Error> {
    if let Some(login) = credentials.login() {
        let again = login.entered();
        let mode = credentials.mode();
        return Ok(log_in(mode, client, config, &again, Some(login), endpoint).await?);
    }
    match credentials {
        Credentials::OAuth2(tokens) => match config.template.auth_mode {
            AuthMode::McpOAuth2 | AuthMode::McpOAuth2Generic => {
                mcp::refresh(client, config, tokens, endpoint).await
            }
            _ => {
                let own = tokens.own_client.as_ref().map(Client::from);
                let client = client.or(own.as_ref()).ok_or(Error::NoClient)?;
                oauth2::refresh(client, config, tokens, endpoint).await
            }
        },
        Credentials::Custom(both) => custom::refresh(client, config, both, endpoint).await,
        _ => Err(Error::WrongMode(credentials.mode())),
    }
}

impl Login {
    /// What was entered, to log in once more.
    fn entered(&self) -> Entered {
        let fields = self.entered.iter();
        let fields = fields.map(|(name, value)| (name.clone(), value.expose_secret().to_owned()));
        fields.collect::<BTreeMap<_, _>>().into()
    }
}

impl Credentials {
    /// The mode they belong to; `OAUTH2` for those of an MCP server and those that
    /// a webhook has yet to bring, and `BASIC` for those of an installed plugin.
    #[must_use]
    pub const fn mode(&self) -> AuthMode {
        match self {
            Self::OAuth1(_) => AuthMode::OAuth1,
            Self::OAuth2(_) | Self::Pending => AuthMode::OAuth2,
            Self::ClientCredentials(_) => AuthMode::OAuth2Cc,
            Self::ApiKey(_) => AuthMode::ApiKey,
            Self::Basic(_) => AuthMode::Basic,
            Self::TwoStep(_) => AuthMode::TwoStep,
            Self::Jwt(_) => AuthMode::Jwt,
            Self::App(_) => AuthMode::App,
            Self::Custom(_) => AuthMode::Custom,
            Self::Tba(_) => AuthMode::Tba,
            Self::Bill(_) => AuthMode::Bill,
            Self::Signature(_) => AuthMode::Signature,
            Self::AwsSigV4(_) => AuthMode::AwsSigV4,
            Self::None => AuthMode::None,
        }
    }

    /// What was entered and what it bought, in the modes that log in.
    pub(crate) const fn login(&self) -> Option<&Login> {
        match self {
            Self::ClientCredentials(login)
            | Self::TwoStep(login)
            | Self::Jwt(login)
            | Self::App(login)
            | Self::Bill(login)
            | Self::Signature(login)
            | Self::AwsSigV4(login) => Some(login),
            _ => None,
        }
    }

    /// The API's form (CONTRACT 2.6), secrets included: an object whose `type`
    /// is the mode's name, `{}` for `NONE` and for those that are still to come.
    #[must_use]
    pub fn to_wire(&self) -> Value {
        let kind = self.mode().as_str();
        match self {
            Self::OAuth1(token) => token.to_wire(),
            Self::OAuth2(tokens) => tokens.to_wire(),
            Self::ApiKey(key) => key.to_wire(),
            Self::Basic(basic) => basic.to_wire(),
            Self::Tba(tba) => tba.to_wire(),
            Self::Custom(both) => both.to_wire(),
            Self::ClientCredentials(login)
            | Self::TwoStep(login)
            | Self::Jwt(login)
            | Self::Signature(login) => login.to_wire(kind, Some("token")),
            Self::App(login) => login.to_wire(kind, Some("access_token")),
            Self::Bill(login) | Self::AwsSigV4(login) => login.to_wire(kind, None),
            Self::Pending | Self::None => Value::Object(serde_json::Map::new()),
        }
    }

    /// When they stop working, if they do and that is known.
    #[must_use]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::OAuth2(tokens) => tokens.expires_at,
            Self::Custom(both) => both.expires_at(),
            other => other.login()?.expires_at,
        }
    }

    /// When the provider gave them out, if they expire.
    #[must_use]
    pub fn issued_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::OAuth2(tokens) => Some(tokens.issued_at),
            Self::Custom(both) => both.issued_at(),
            other => Some(other.login()?.issued_at),
        }
    }

    /// Whether [`refresh`] has what it needs.
    #[must_use]
    pub fn can_refresh(&self) -> bool {
        match self {
            Self::OAuth2(tokens) => tokens.refresh_token.is_some(),
            Self::Custom(both) => both.app.is_some(),
            other => other.login().is_some(),
        }
    }

    /// Whether they stay what a person entered, until the provider takes them
    /// back.
    #[must_use]
    pub const fn is_static(&self) -> bool {
        matches!(self, Self::ApiKey(_) | Self::Basic(_) | Self::Tba(_))
    }

    /// Whether a webhook has to come before calls can be made.
    #[must_use]
    pub const fn is_pending(&self) -> bool {
        match self {
            Self::Pending => true,
            Self::Custom(both) => both.app.is_none(),
            _ => false,
        }
    }

    /// What a refresh spends, if it spends something: of two that spend the same,
    /// one comes too late.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&SecretString> {
        match self {
            Self::OAuth2(tokens) => tokens.refresh_token.as_ref(),
            Self::Custom(both) => both.user.as_ref()?.refresh_token.as_ref(),
            other => other.login()?.refresh_token.as_ref(),
        }
    }

    /// The client that the connection brought, in place of the integration's.
    #[must_use]
    pub fn own_client(&self) -> Option<&OwnClient> {
        match self {
            Self::OAuth2(tokens) => tokens.own_client.as_ref(),
            Self::OAuth1(token) => token.own_client.as_ref(),
            Self::Tba(tba) => tba.own_client.as_ref(),
            _ => None,
        }
    }

    /// The value of a placeholder: `credentials.<name>` or a bare name.
    pub(crate) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        match self {
            Self::OAuth1(token) => token.field(name),
            Self::OAuth2(tokens) => tokens.field(name),
            Self::ApiKey(key) => key.field(name),
            Self::Basic(basic) => basic.field(name),
            Self::Tba(tba) => tba.field(name),
            Self::Custom(both) => both.field(name),
            other => other.login()?.field(name),
        }
    }

    /// Signs a call to the API, in the modes that do: it is complete but for
    /// that. Not called when the caller brings an `Authorization`.
    ///
    /// # Errors
    /// [`Error::Sign`], [`Error::Unusable`], and those of the mode.
    pub(crate) fn sign(&self, call: ToSign<'_>) -> Result<(), Error> {
        match self {
            Self::OAuth1(token) => token.sign(call),
            Self::Tba(tba) => tba.sign(call),
            Self::AwsSigV4(login) => aws_sigv4::sign(login, call),
            Self::Bill(login) => bill::add(login, call.headers),
            _ => Ok(()),
        }
    }

    /// Whether [`Credentials::sign`] signs the address and method of a call.
    pub(crate) const fn signs_address(&self) -> bool {
        matches!(self, Self::OAuth1(_) | Self::Tba(_) | Self::AwsSigV4(_))
    }

    /// Whether [`Credentials::sign`] must see the body, which `body_headers`
    /// describe, so that it cannot be sent as it comes.
    pub(crate) fn signs_body(&self, config: &Config<'_>, body_headers: &HeaderMap) -> bool {
        match self {
            Self::OAuth1(_) | Self::Tba(_) => is_form(body_headers),
            Self::AwsSigV4(_) => aws_sigv4::signs_body(config),
            _ => false,
        }
    }

    /// The `Authorization` header that the mode adds by itself.
    ///
    /// # Errors
    /// [`Error::Header`], and [`Error::Pending`] while there are no credentials.
    pub(crate) fn authorization(&self) -> Result<Option<HeaderValue>, Error> {
        match self {
            Self::OAuth2(tokens) => tokens.bearer().map(Some),
            Self::Basic(basic) => basic.authorization().map(Some),
            Self::Custom(both) => {
                let app = both.app.as_ref().ok_or(Error::Pending)?;
                app.bearer().map(Some)
            }
            Self::Pending => Err(Error::Pending),
            Self::ClientCredentials(login)
            | Self::TwoStep(login)
            | Self::Jwt(login)
            | Self::App(login) => login.bearer().map(Some),
            Self::OAuth1(_)
            | Self::ApiKey(_)
            | Self::Tba(_)
            | Self::Bill(_)
            | Self::Signature(_)
            | Self::AwsSigV4(_)
            | Self::None => Ok(None),
        }
    }
}
