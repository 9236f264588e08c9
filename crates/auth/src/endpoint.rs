//! The way out for token requests.

use std::future::Future;

use http::{Request, Response};

/// Sends a token request. Implemented over the workspace's one HTTP client,
/// which enforces the address policy, timeouts and size limits, and follows no
/// redirect with a body that holds secrets.
pub trait TokenEndpoint: Sync {
    /// Sends `request` and reads the whole answer, whatever its status.
    fn send(
        &self,
        request: Request<Vec<u8>>,
    ) -> impl Future<Output = Result<Response<Vec<u8>>, TransportError>> + Send;
}

/// No answer came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// The address policy does not allow the address.
    #[error("the address is not allowed: {0}")]
    Denied(String),
    /// The provider did not answer in time.
    #[error("the provider did not answer in time")]
    Timeout,
    /// The client certificate that the request was to present is none.
    #[error("{0}")]
    Identity(String),
    /// The provider could not be reached, or broke off.
    #[error("the provider could not be reached: {0}")]
    Failed(String),
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// For modes that ask no provider.
    pub(crate) struct Nobody;

    impl TokenEndpoint for Nobody {
        async fn send(
            &self,
            request: Request<Vec<u8>>,
        ) -> Result<Response<Vec<u8>>, TransportError> {
            panic!("{} was asked", request.uri());
        }
    }
}
