//! What this crate fails with.

use linkspan_api::ErrorCode;
use linkspan_providers::interpolate::{Unresolved, UrlError};
use linkspan_providers::{AuthMode, Template};

use crate::{TransportError, aws_sigv4, sign};

/// What this crate fails with. No message holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The template lacks a key that the operation needs.
    #[error("provider `{provider}` has no {key}")]
    Template {
        /// The template's slug.
        provider: String,
        /// The missing key.
        key: &'static str,
    },
    /// The template asks for something that is not built yet.
    #[error("provider `{provider}` needs {feature}, which is not supported")]
    Unsupported {
        /// The template's slug.
        provider: String,
        /// What it needs.
        feature: &'static str,
    },
    /// The connection's credentials are not of the mode that was asked for.
    #[error("the connection does not authenticate by {0}")]
    WrongMode(AuthMode),
    /// A URL of the template cannot be made from the values there are.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The caller's path or base URL does not make a URL.
    #[error("the path does not make a valid URL: {0}")]
    Path(String),
    /// A header's value has characters that HTTP does not allow.
    #[error("the value of header `{0}` cannot be sent")]
    Header(String),
    /// No answer came from the token endpoint.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The token endpoint said no.
    #[error("the provider refused the token request (status {status}): {message}")]
    Refused {
        /// HTTP status; 200 from providers that put errors there.
        status: u16,
        /// RFC 6749 section 5.2, for example `invalid_grant`, where given.
        error: Option<String>,
        /// At most 300 characters, of the provider's words or ours.
        message: String,
    },
    /// The token endpoint's answer is neither JSON nor a form.
    #[error(
        "the provider's token endpoint answered status {status} with {content_type}, not with tokens"
    )]
    Unreadable {
        /// HTTP status.
        status: u16,
        /// The answer's content type, cut to 60 characters.
        content_type: String,
    },
    /// The token endpoint's answer has no access token.
    #[error("the provider's token answer (status {status}) has no access token")]
    NoAccessToken {
        /// HTTP status.
        status: u16,
    },
    /// The browser came back without what was to be exchanged; with the
    /// provider's reason.
    #[error("{0}")]
    NoCode(String),
    /// The integration has no client with the provider, which the mode needs.
    #[error("the integration has no credentials of its own with the provider: add them to it")]
    NoClient,
    /// What was entered, or the configuration, cannot be used; without its value.
    #[error("{0}")]
    Unusable(String),
    /// Nothing was entered of a client certificate that the provider asks for.
    #[error("the provider asks for a client certificate, and the connection has no `{0}`")]
    NoCertificate(&'static str),
    /// The connection has no credentials yet.
    #[error(
        "the connection is pending: the provider has not said yet that the installation is \
         complete; it can be used as soon as that has come by a webhook"
    )]
    Pending,
    /// A request or a token cannot be signed.
    #[error(transparent)]
    Sign(#[from] sign::Error),
    /// The keys of an AWS role could not be got.
    #[error(transparent)]
    Aws(#[from] aws_sigv4::Fault),
    /// There is no refresh token to refresh with.
    #[error("the connection has no refresh token")]
    NoRefreshToken,
    /// The system gave no random bytes.
    #[error("the system's random generator failed")]
    Random,
}

impl Error {
    pub(crate) fn unsupported(template: &Template, feature: &'static str) -> Self {
        Self::Unsupported {
            provider: template.slug.clone(),
            feature,
        }
    }

    /// The error's code in the API's table.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Template {
                key: "proxy.base_url",
                ..
            } => ErrorCode::MissingApiUrl,
            Self::Template { .. } | Self::Unsupported { .. } | Self::WrongMode(_) => {
                ErrorCode::InvalidAuthMode
            }
            Self::Url(_) => ErrorCode::MissingConnectionConfig,
            Self::Path(_) => ErrorCode::InvalidUriParams,
            Self::Header(_) => ErrorCode::InvalidHeaders,
            Self::Transport(TransportError::Denied(_)) => ErrorCode::UpstreamAddressDenied,
            Self::Transport(TransportError::Timeout) => ErrorCode::UpstreamTimeout,
            Self::Transport(TransportError::Identity(_)) | Self::NoCertificate(_) => {
                ErrorCode::InvalidCertificateOrKeyFormat
            }
            Self::Transport(TransportError::Failed(_)) => ErrorCode::UpstreamUnreachable,
            Self::Refused { .. }
            | Self::Unreadable { .. }
            | Self::NoAccessToken { .. }
            | Self::NoCode(_)
            | Self::Unusable(_)
            | Self::NoRefreshToken => ErrorCode::InvalidCredentials,
            Self::NoClient => ErrorCode::MissingClientId,
            Self::Aws(fault) => fault.code(),
            Self::Pending => ErrorCode::InvalidConnection,
            Self::Random | Self::Sign(sign::Error::Random) => ErrorCode::GenericErrorSupport,
            Self::Sign(_) => ErrorCode::InvalidCredentials,
        }
    }
}

impl From<Unresolved> for Error {
    fn from(unresolved: Unresolved) -> Self {
        Self::Url(unresolved.into())
    }
}
