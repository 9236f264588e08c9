//! Token requests by way of `net`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Request, Response};
use linkspan_auth::{ClientCertificate, TokenEndpoint, TransportError};
use linkspan_net as net;
use secrecy::ExposeSecret;

/// How long a provider may take to answer a token request.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// Largest answer to a token request.
const LARGEST: usize = 1024 * 1024;

/// Asked at the last moment before a request leaves: whether it may still.
pub(crate) type MaySend = Arc<dyn Fn() -> bool + Send + Sync>;

/// The way out for token requests.
pub(crate) struct Outbound<'a> {
    client: &'a net::Client,
    may_send: Option<MaySend>,
}

impl<'a> Outbound<'a> {
    pub(crate) const fn new(client: &'a net::Client) -> Self {
        Self {
            client,
            may_send: None,
        }
    }

    /// A way out that closes. Names are looked up and connections made first,
    /// and this process may stand still meanwhile: so it is asked when the body
    /// is due, and a request without its body is none.
    pub(crate) fn open_while(client: &'a net::Client, may_send: MaySend) -> Self {
        Self {
            client,
            may_send: Some(may_send),
        }
    }

    async fn fetch(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, net::Error> {
        let certificate = request.extensions_mut().remove::<ClientCertificate>();
        let client = match &certificate {
            None => self.client.clone(),
            Some(certificate) => self.client.presenting(&net::Identity {
                certificate_pem: &certificate.certificate_pem,
                key_pem: certificate.key_pem.expose_secret(),
            })?,
        };
        let limits = net::Limits {
            total: DEADLINE,
            max_body: LARGEST,
        };
        let Some(may_send) = &self.may_send else {
            return client.fetch(request, limits).await;
        };
        let may_send = Arc::clone(may_send);
        let (mut head, body) = request.into_parts();
        let length = HeaderValue::from(body.len());
        head.headers.insert(CONTENT_LENGTH, length);
        let body = stream::once(async move { may_send().then_some(body).ok_or("too late") });
        let request = Request::from_parts(head, net::Body::stream(body));
        client.fetch_once(request, limits).await
    }
}

impl TokenEndpoint for Outbound<'_> {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, TransportError> {
        let answer = self.fetch(request.map(Bytes::from)).await;
        answer
            .map(|response| response.map(Vec::from))
            .map_err(|error| match error {
                net::Error::Blocked { .. } => TransportError::Denied(error.to_string()),
                net::Error::TimeoutConnect { .. } | net::Error::TimeoutTotal { .. } => {
                    TransportError::Timeout
                }
                net::Error::Identity { .. } => TransportError::Identity(error.to_string()),
                error => TransportError::Failed(error.to_string()),
            })
    }
}
