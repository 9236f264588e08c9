//! What every request is brought to before it leaves.

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version, header};
use url::Url;

use crate::body::Body;
use crate::error::Error;

/// Headers about one connection, or about the framing of one message: this
/// client decides them, and a caller's value could only contradict it
/// (RFC 9110, 7.6.1; RFC 9112, 6).
static CONNECTION_HEADERS: [HeaderName; 5] = [
    header::HOST,
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TE,
];

/// A request that can be sent more than once.
pub(crate) struct Draft {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Draft {
    /// A copy of a request whose method and body allow to send it again when
    /// it is unknown whether it arrived (RFC 9110, 9.2.2).
    pub(crate) fn of(request: &Request<Body>) -> Option<Self> {
        if !request.method().is_idempotent() {
            return None;
        }
        Some(Self {
            body: request.body().replayable()?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
        })
    }

    pub(crate) fn request(&self) -> Request<Body> {
        let mut request = Request::new(Body::full(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl From<Request<Bytes>> for Draft {
    fn from(request: Request<Bytes>) -> Self {
        let (head, body) = request.into_parts();
        Self {
            method: head.method,
            uri: head.uri,
            headers: head.headers,
            body,
        }
    }
}

/// The host and port of a target that may be called.
///
/// # Errors
/// A target that is not an absolute http or https URL without userinfo.
pub(crate) fn authority(uri: &Uri) -> Result<Authority, Error> {
    let invalid = |reason| Err(Error::InvalidUrl { reason });
    match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS => {}
        _ => return invalid("only absolute http and https URLs can be called"),
    }
    match uri.authority() {
        Some(authority) if authority.as_str().contains('@') => {
            invalid("a user name or password belongs in a header")
        }
        Some(authority) if !authority.host().is_empty() => Ok(authority.clone()),
        _ => invalid("the host is missing"),
    }
}

/// The target for a parsed URL, without its fragment.
///
/// # Errors
/// A URL with userinfo, or one that HTTP has no spelling for.
pub(crate) fn target(url: &Url) -> Result<Uri, Error> {
    let text = url.as_str();
    let end = text.find('#').unwrap_or(text.len());
    let uri = Uri::try_from(&text[..end]).map_err(|_| Error::InvalidUrl {
        reason: "it cannot be written as a request target",
    })?;
    authority(&uri)?;
    Ok(uri)
}

/// Sets what this client decides: the version (by negotiation), `Host` (from
/// the URL), the framing, and a `User-Agent` where there is none.
pub(crate) fn normalise(
    request: &mut Request<Body>,
    user_agent: Option<&HeaderValue>,
) -> Result<(), Error> {
    if *request.method() == Method::CONNECT {
        return Err(Error::InvalidRequest {
            reason: "CONNECT opens a tunnel",
        });
    }
    *request.version_mut() = Version::HTTP_11;
    let held = request.body().replayable();
    let expects_content = [Method::POST, Method::PUT, Method::PATCH].contains(request.method());
    let headers = request.headers_mut();
    for name in &CONNECTION_HEADERS {
        headers.remove(name);
    }
    if let Some(body) = held {
        headers.remove(header::CONTENT_LENGTH);
        // RFC 9110, 8.6: strict servers answer 411 without it, and hyper says
        // nothing of a body that is not there.
        if body.is_empty() && expects_content {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
    }
    if let Some(user_agent) = user_agent {
        headers
            .entry(header::USER_AGENT)
            .or_insert_with(|| user_agent.clone());
    }
    Ok(())
}
