//! What the core fails with. Each error has a code of the API's error table;
//! the server turns it into HTTP in one place.

use std::sync::Arc;

use linkspan_api::{ErrorCode, FieldError};

use crate::{db, vault};

/// What the core fails with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// A secret could not be sealed or opened.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// A stored value is not what this version writes.
    #[error("stored {what} cannot be read: {source}")]
    Stored {
        /// Which value.
        what: &'static str,
        /// Why.
        source: serde_json::Error,
    },
    /// The template's URL, token or credentials logic failed.
    #[error(transparent)]
    Auth(#[from] linkspan_auth::Error),
    /// Fields of a request are wrong.
    #[error("{code}: {}", told(.fields), code = .code.as_str())]
    Invalid {
        /// `invalid_body` or `invalid_query_params`.
        code: ErrorCode,
        /// Which, and why.
        fields: Vec<FieldError>,
    },
    /// There is no provider of this name.
    #[error("there is no provider '{0}'")]
    UnknownProvider(String),
    /// The environment has no integration with this key.
    #[error("the environment has no integration '{0}'")]
    UnknownIntegration(String),
    /// The environment already has an integration with this key.
    #[error("the environment already has an integration '{0}'")]
    DuplicateIntegration(String),
    /// The integration lacks its OAuth client, app or plugin.
    #[error(
        "integration '{0}' has no credentials with its provider, such as a client id and secret: add them to it"
    )]
    MissingClient(String),
    /// Another server is registering with the integration's provider, and has been
    /// for too long.
    #[error("integration '{0}' is still being registered with its provider; try again in a minute")]
    RegistrationPending(String),
    /// No provider knows this server by a document at this address.
    #[error("there is no client metadata document here")]
    NoDocument,
    /// The environment has no such connection.
    #[error("integration '{integration}' has no connection '{connection}'")]
    UnknownConnection {
        /// The integration's key.
        integration: String,
        /// The connection's id.
        connection: String,
    },
    /// The integration's provider does not authenticate in the way asked for.
    #[error("provider '{0}' does not authenticate in this way")]
    WrongMode(String),
    /// The session may not connect this integration.
    #[error("this connect session does not allow integration '{0}'")]
    IntegrationNotAllowed(String),
    /// Something of this name is there already.
    #[error("there is {0} of this name already")]
    Conflict(&'static str),
    /// The account has no environment of this number.
    #[error("the account has no environment {0}")]
    UnknownEnvironment(i64),
    /// The environment has no API key of this number.
    #[error("the environment has no API key {0}")]
    UnknownApiKey(i64),
    /// The environment `prod` cannot be deleted.
    #[error("environment 'prod' cannot be deleted")]
    ProductionEnvironment,
    /// This server has no OAuth client of its own for the provider.
    #[error("this server has no OAuth client of its own for provider '{0}'")]
    NoSharedClient(String),
    /// No environment has this public key.
    #[error("no environment has this public key")]
    InvalidPublicKey,
    /// The environment takes a public key only with an HMAC.
    #[error("this environment takes a public key only with an HMAC beside it")]
    MissingHmac,
    /// The HMAC is not the one of this integration and connection.
    #[error("the HMAC does not fit this integration and connection")]
    InvalidHmac,
    /// A public key alone cannot replace a connection.
    #[error(
        "integration '{integration}' has a connection '{connection}' already: replacing it takes an HMAC or a connect session"
    )]
    ReplaceNeedsHmac {
        /// The integration's key.
        integration: String,
        /// The connection's id.
        connection: String,
    },
    /// The connection works, and the new credentials would not yet.
    #[error(
        "connection '{0}' works and keeps its credentials: new ones would have to wait for a webhook of the provider; to install anew, delete the connection and connect again"
    )]
    WouldWait(String),
    /// The system has no random bytes to give.
    #[error(transparent)]
    Random(#[from] crate::token::NoRandomness),
    /// The provider did not take new credentials.
    #[error("the credentials do not work: {0}")]
    ConnectionTest(String),
    /// The provider gave a value for the connection's configuration that does not
    /// fit its field, or none where it should have.
    #[error("the provider's answer does not fit its template: {0}")]
    ProviderValue(String),
    /// The access token expired and could not be refreshed.
    #[error("the credentials could not be refreshed: {0}")]
    RefreshFailed(String),
    /// A refresh failed less than half a minute ago.
    #[error("the last refresh failed a moment ago; try again in half a minute")]
    RefreshBackoff,
    /// Refreshes failed on so many days that no more are tried unasked.
    #[error(
        "refreshes of this connection failed on {0} days: let its owner reconnect, or force a refresh"
    )]
    RefreshExhausted(i16),
    /// A refresh that several callers waited for has failed.
    #[error(transparent)]
    Refresh(Arc<Error>),
}

/// The fields that are wrong, in words: `client.id: must be a string; …`.
fn told(fields: &[FieldError]) -> String {
    let each = fields.iter();
    let told: Vec<_> = each
        .map(|field| format!("{}: {}", field.path.join("."), field.message))
        .collect();
    told.join("; ")
}

impl Error {
    /// Whether the database failed, which it may not the next time.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Database(_) => true,
            Self::Vault(error) => matches!(error.cause(), vault::Error::Database(_)),
            _ => false,
        }
    }

    /// The error's code in the API's table.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Database(_) | Self::Vault(_) | Self::Stored { .. } | Self::Random(_) => {
                ErrorCode::GenericErrorSupport
            }
            Self::Auth(error) => error.code(),
            Self::Invalid { code, .. } => *code,
            Self::UnknownProvider(_) => ErrorCode::UnknownProviderTemplate,
            Self::UnknownIntegration(_) => ErrorCode::UnknownProviderConfig,
            Self::DuplicateIntegration(_) => ErrorCode::DuplicateProviderConfig,
            Self::MissingClient(_) => ErrorCode::MissingClientId,
            Self::RegistrationPending(_) => ErrorCode::UpstreamTimeout,
            Self::NoDocument => ErrorCode::NotFound,
            Self::UnknownConnection { .. } => ErrorCode::NotFound,
            Self::WrongMode(_) => ErrorCode::InvalidAuthMode,
            Self::IntegrationNotAllowed(_) => ErrorCode::IntegrationNotAllowed,
            Self::Conflict(_) => ErrorCode::Conflict,
            Self::UnknownEnvironment(_) => ErrorCode::UnknownEnvironment,
            Self::UnknownApiKey(_) => ErrorCode::NotFound,
            Self::ProductionEnvironment => ErrorCode::CannotDeleteProdEnvironment,
            Self::NoSharedClient(_) => ErrorCode::SharedCredentialsProviderNotFound,
            Self::ConnectionTest(_) => ErrorCode::ConnectionTestFailed,
            Self::RefreshFailed(_) | Self::ProviderValue(_) => ErrorCode::InvalidCredentials,
            Self::InvalidPublicKey => ErrorCode::InvalidPublicKey,
            Self::MissingHmac | Self::ReplaceNeedsHmac { .. } => ErrorCode::MissingHmac,
            Self::WouldWait(_) => ErrorCode::InvalidConnection,
            Self::InvalidHmac => ErrorCode::InvalidHmac,
            Self::RefreshBackoff => ErrorCode::ConnectionRefreshBackoff,
            Self::RefreshExhausted(_) => ErrorCode::ConnectionRefreshExhausted,
            Self::Refresh(error) => error.code(),
        }
    }

    /// The fields that are wrong, for the `invalid_…` codes.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid { fields, .. } => fields,
            Self::Refresh(error) => error.fields(),
            _ => &[],
        }
    }

    /// A body with one field that is wrong.
    pub(crate) fn invalid_body(kind: &str, message: impl Into<String>, path: &[&str]) -> Self {
        Self::Invalid {
            code: ErrorCode::InvalidBody,
            fields: vec![FieldError::new(kind, message, path)],
        }
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}
