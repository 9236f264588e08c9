//! Token requests by way of `net`.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use linkspan_auth::{TokenEndpoint, TransportError};
use linkspan_net as net;

/// How long a provider may take to answer a token request.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);
/// Largest answer to a token request.
const LARGEST: usize = 1024 * 1024;

/// The way out for token requests.
pub(crate) struct Outbound<'a>(pub(crate) &'a net::Client);

impl TokenEndpoint for Outbound<'_> {
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Vec<u8>>, TransportError> {
        let limits = net::Limits {
            total: DEADLINE,
            max_body: LARGEST,
        };
        let answer = self.0.fetch(request.map(Bytes::from), limits).await;
        answer
            .map(|response| response.map(Vec::from))
            .map_err(|error| match error {
                net::Error::Blocked { .. } => TransportError::Denied(error.to_string()),
                net::Error::TimeoutConnect { .. } | net::Error::TimeoutTotal { .. } => {
                    TransportError::Timeout
                }
                error => TransportError::Failed(error.to_string()),
            })
    }
}
