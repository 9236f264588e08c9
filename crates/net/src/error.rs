//! What can go wrong on the way out, in words that may be logged and shown.

use std::io;
use std::time::Duration;

use http::uri::Authority;
use hyper_util::client::legacy;

use crate::connect::ConnectFailure;
use crate::policy::Blocked;
use crate::redact;

/// A call that got no answer. No variant holds a path, a query, a userinfo or
/// a header, so that `Display` and `Debug` may be logged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address policy forbids the host.
    #[error("{host} may not be called: {reason}")]
    Blocked {
        /// Host and port.
        host: String,
        /// The rule that it breaks.
        reason: Blocked,
    },
    /// The URL is not an absolute http or https URL without userinfo.
    #[error("invalid URL: {reason}")]
    InvalidUrl {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The request cannot be sent as it is.
    #[error("invalid request: {reason}")]
    InvalidRequest {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The client cannot be built from its settings.
    #[error("invalid network setting {setting}: {reason}")]
    Settings {
        /// The field of [`crate::Settings`].
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A client certificate cannot be presented.
    #[error("the client certificate cannot be used: {reason}")]
    Identity {
        /// What is wrong with it or its key; neither is quoted.
        reason: String,
    },
    /// The name has no address.
    #[error("{host} could not be resolved ({})", if *.temporary { "temporary failure" } else { "name not found" })]
    Dns {
        /// Host and port.
        host: String,
        /// Whether the resolver failed, as opposed to having no such name.
        temporary: bool,
    },
    /// No connection could be opened.
    #[error("could not connect to {host}: {kind}")]
    Connect {
        /// Host and port.
        host: String,
        /// The failure of the last address that was tried.
        kind: io::ErrorKind,
    },
    /// The TLS handshake failed, usually for the certificate.
    #[error("no secure connection to {host}: {reason}")]
    Tls {
        /// Host and port.
        host: String,
        /// What rustls says about it.
        reason: String,
    },
    /// No connection within [`crate::Settings::connect_timeout`].
    #[error("connecting to {host} took too long")]
    TimeoutConnect {
        /// Host and port.
        host: String,
    },
    /// No response head within [`crate::Deadlines::response_head`].
    #[error("{host} did not answer within {} ms", .after.as_millis())]
    TimeoutHead {
        /// Host and port.
        host: String,
        /// The time allowed.
        after: Duration,
    },
    /// No complete response within [`crate::Limits::total`].
    #[error("{host} did not complete its answer within {} ms", .after.as_millis())]
    TimeoutTotal {
        /// Host and port.
        host: String,
        /// The time allowed.
        after: Duration,
    },
    /// The response is larger than [`crate::Limits::max_body`].
    #[error("the answer of {host} is larger than {limit} bytes")]
    BodyTooLarge {
        /// Host and port.
        host: String,
        /// Bytes allowed.
        limit: usize,
    },
    /// The connection broke before the response was complete.
    #[error("{host} closed the connection before it answered")]
    Reset {
        /// Host and port.
        host: String,
    },
    /// The answer is not HTTP.
    #[error("{host} did not answer in HTTP: {reason}")]
    Protocol {
        /// Host and port.
        host: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The request's own body failed while it was sent.
    #[error("the request's body for {host} ended with an error")]
    RequestBody {
        /// Host and port.
        host: String,
    },
    /// The request's own body did not go on for [`crate::Deadlines::response_head`].
    #[error("the request's body for {host} did not go on for {} ms", .after.as_millis())]
    RequestStalled {
        /// Host and port.
        host: String,
        /// The time allowed.
        after: Duration,
    },
    /// More redirects than [`crate::Redirects::max`].
    #[error("more than {max} redirects")]
    TooManyRedirects {
        /// Redirects allowed.
        max: usize,
    },
    /// A redirect that is not followed.
    #[error("redirect to {host} refused: {reason}")]
    RedirectDenied {
        /// Host and port of the target, where it has one.
        host: String,
        /// Why it is not followed.
        reason: RedirectDenial,
    },
}

/// Why a redirect is not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RedirectDenial {
    /// `Location` is not a URL reference.
    #[error("the location is not a URL")]
    Location,
    /// Neither http nor https.
    #[error("only http and https are followed")]
    Scheme,
    /// The location has a user name or a password.
    #[error("the location contains a user name or password")]
    Userinfo,
    /// From https to http with credentials or a body.
    #[error("it would send credentials or a body without encryption")]
    Downgrade,
    /// The address policy forbids the target.
    #[error("{0}")]
    Blocked(Blocked),
}

impl Error {
    /// The name that Node's network stack has for the failure, where it has
    /// one; retry rules are written in these names (CONTRACT 2.7).
    pub fn network_code(&self) -> Option<&'static str> {
        match self {
            Self::Dns {
                temporary: true, ..
            } => Some("EAI_AGAIN"),
            Self::Dns {
                temporary: false, ..
            } => Some("ENOTFOUND"),
            Self::TimeoutConnect { .. } | Self::TimeoutHead { .. } | Self::TimeoutTotal { .. } => {
                Some("ETIMEDOUT")
            }
            Self::Reset { .. } => Some("ECONNRESET"),
            Self::Connect { kind, .. } => match kind {
                io::ErrorKind::ConnectionRefused => Some("ECONNREFUSED"),
                io::ErrorKind::ConnectionReset => Some("ECONNRESET"),
                io::ErrorKind::ConnectionAborted => Some("ECONNABORTED"),
                io::ErrorKind::TimedOut => Some("ETIMEDOUT"),
                io::ErrorKind::HostUnreachable => Some("EHOSTUNREACH"),
                io::ErrorKind::NetworkUnreachable => Some("ENETUNREACH"),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether the same call may succeed later: the network failed, not the
    /// request. Says nothing about whether the request has had an effect.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Dns { temporary, .. } => *temporary,
            Self::Connect { .. }
            | Self::TimeoutConnect { .. }
            | Self::TimeoutHead { .. }
            | Self::TimeoutTotal { .. }
            | Self::Reset { .. } => true,
            _ => false,
        }
    }

    /// Reads what the HTTP client reports about a call to `authority`.
    pub(crate) fn from_client(error: &legacy::Error, authority: &Authority) -> Self {
        let host = host(authority);
        if let Some(failure) = find::<ConnectFailure>(error) {
            return Self::from_connect(failure, host);
        }
        match find::<hyper::Error>(error) {
            Some(error) => Self::from_hyper(error, host),
            None => Self::InvalidRequest {
                reason: "the client cannot send it",
            },
        }
    }

    /// Reads what went wrong in the middle of a message.
    pub(crate) fn from_hyper(error: &hyper::Error, host: String) -> Self {
        if error.is_user() || error.is_body_write_aborted() {
            return Self::RequestBody { host };
        }
        if is_broken(error) {
            return Self::Reset { host };
        }
        Self::Protocol {
            host,
            reason: error.to_string(),
        }
    }

    fn from_connect(failure: &ConnectFailure, host: String) -> Self {
        match failure {
            ConnectFailure::Blocked(reason) => Self::Blocked {
                host,
                reason: *reason,
            },
            ConnectFailure::Host => Self::InvalidUrl {
                reason: "the host is not a valid name or address",
            },
            ConnectFailure::Dns { temporary } => Self::Dns {
                host,
                temporary: *temporary,
            },
            ConnectFailure::Tcp(kind) => Self::Connect { host, kind: *kind },
            ConnectFailure::Tls(reason) => Self::Tls {
                host,
                reason: reason.clone(),
            },
            ConnectFailure::Timeout => Self::TimeoutConnect { host },
        }
    }
}

/// Host and port of an authority, for an error.
pub(crate) fn host(authority: &Authority) -> String {
    redact::host_and_port(authority.as_str()).to_owned()
}

/// Whether the connection broke, or the peer gave the stream up.
pub(crate) fn is_broken(error: &hyper::Error) -> bool {
    error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || find::<io::Error>(error).is_some()
        || find::<h2::Error>(error).is_some_and(|h2| h2.is_go_away() || h2.is_reset() || h2.is_io())
}

/// The first error of type `T` in a chain. An [`io::Error`] that wraps another
/// error leaves that one out of its `source()`, so it is opened here.
pub(crate) fn find<'a, T: std::error::Error + 'static>(
    error: &'a (dyn std::error::Error + 'static),
) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<T>() {
            return Some(found);
        }
        let wrapped = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match wrapped {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}
