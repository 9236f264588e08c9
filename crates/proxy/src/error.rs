//! Why a call got no answer.

use linkspan_api::ErrorCode;
use linkspan_net as net;

/// Why a call got no answer. What the API itself answers, whatever its status,
/// is never an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection could not be loaded, or its credentials not be refreshed.
    #[error(transparent)]
    Connection(#[from] linkspan_shared::Error),
    /// The call cannot be made of what the template, the connection and the
    /// caller give.
    #[error(transparent)]
    Prepare(#[from] linkspan_auth::Error),
    /// The API gave no answer, or may not be called.
    #[error(transparent)]
    Net(#[from] net::Error),
    /// The template adds to the body, so that it is needed whole, and it is
    /// larger than what is taken.
    #[error("the provider's template adds to the body, so it may have {limit} bytes at most")]
    BodyTooLarge {
        /// Bytes that are taken.
        limit: usize,
    },
    /// The caller's body ended before it was complete.
    #[error("the body ended before it was complete")]
    BodyBroken,
    /// As many calls to the provider are under way, and as many wait, as this
    /// server makes at once.
    #[error(
        "this server already makes {calls} calls to the provider {provider:?} at once; try again"
    )]
    Saturated {
        /// The provider's slug.
        provider: String,
        /// Calls under way.
        calls: usize,
    },
}

impl Error {
    /// The error's code in the API's table. A connection that does not exist
    /// or cannot be refreshed is `server_error` here, as in CONTRACT 2.7.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Connection(error) => of_connection(error),
            Self::Prepare(error) => error.code(),
            Self::Net(error) => of_net(error),
            Self::BodyTooLarge { .. } => ErrorCode::PayloadTooLarge,
            Self::BodyBroken => ErrorCode::InvalidBody,
            Self::Saturated { .. } => ErrorCode::UpstreamSaturated,
        }
    }
}

fn of_connection(error: &linkspan_shared::Error) -> ErrorCode {
    use linkspan_shared::Error;
    match error {
        Error::UnknownConnection { .. } | Error::RefreshFailed(_) => ErrorCode::ServerError,
        // What all who waited for the same refresh are told.
        Error::Refresh(error) => of_connection(error),
        error => error.code(),
    }
}

fn of_net(error: &net::Error) -> ErrorCode {
    match error {
        net::Error::Blocked { .. } => ErrorCode::UpstreamAddressDenied,
        net::Error::RedirectDenied { .. } => ErrorCode::ProxyRedirectToDeniedHost,
        net::Error::TooManyRedirects { .. } => ErrorCode::ProxyTooManyRedirects,
        net::Error::Identity { .. } => ErrorCode::InvalidCertificateOrKeyFormat,
        net::Error::InvalidUrl { .. } => ErrorCode::InvalidUriParams,
        net::Error::InvalidRequest { .. } => ErrorCode::InvalidHeaders,
        net::Error::RequestBody { .. } | net::Error::RequestStalled { .. } => {
            ErrorCode::InvalidBody
        }
        net::Error::TimeoutConnect { .. }
        | net::Error::TimeoutHead { .. }
        | net::Error::TimeoutTotal { .. } => ErrorCode::UpstreamTimeout,
        _ => ErrorCode::UpstreamUnreachable,
    }
}
