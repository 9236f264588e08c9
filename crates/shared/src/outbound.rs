//! Token requests by way of `net`.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{Request, Response};
use linkspan_auth::{ClientCertificate, TokenEndpoint, TransportError};
use linkspan_net as net;
use secrecy::ExposeSecret;

use crate::Core;

/// Largest answer to a token request.
const LARGEST: usize = 1024 * 1024;

/// Asked at the last moment before a request leaves: whether it may still.
pub(crate) type MaySend = Arc<dyn Fn() -> bool + Send + Sync>;

/// The way out for token requests.
pub(crate) struct Outbound<'a> {
    client: &'a net::Client,
    /// For the whole answer.
    deadline: Duration,
    may_send: Option<MaySend>,
}

impl<'a> Outbound<'a> {
    pub(crate) fn new(core: &'a Core) -> Self {
        Self {
            client: &core.http,
            deadline: core.settings.token_timeout,
            may_send: None,
        }
    }

    /// A way out that closes. Names are looked up and connections made first,
    /// and this process may stand still meanwhile: so it is asked again and again
    /// until the request is on its way, and last when the body is due. A request
    /// without its body is none, and one that has none leaves with its head.
    pub(crate) fn open_while(core: &'a Core, may_send: MaySend) -> Self {
        Self {
            may_send: Some(may_send),
            ..Self::new(core)
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
            total: self.deadline,
            max_body: LARGEST,
        };
        let Some(may_send) = &self.may_send else {
            return client.fetch(request, limits).await;
        };
        let host = request.uri().authority().map(|authority| {
            let port = authority.port_u16().map(|port| format!(":{port}"));
            format!("{}{}", authority.host(), port.unwrap_or_default())
        });
        // The connection drops the body when it needs it no more: from then on
        // the answer is worth waiting for, whatever it takes.
        let unsent = Arc::new(());
        let (held, asked) = (Arc::clone(&unsent), Arc::clone(may_send));
        let (mut head, body) = request.into_parts();
        let length = HeaderValue::from(body.len());
        head.headers.insert(CONTENT_LENGTH, length);
        let body = stream::once(async move {
            drop(held);
            asked().then_some(body).ok_or("too late")
        });
        let request = Request::from_parts(head, net::Body::stream(body));
        let mut exchange = pin!(client.fetch_once(request, limits));
        poll_fn(|cx| {
            let is_unsent = Arc::strong_count(&unsent) > 1;
            if is_unsent && !may_send() {
                let host = host.clone().unwrap_or_default();
                return Poll::Ready(Err(net::Error::RequestBody { host }));
            }
            exchange.as_mut().poll(cx)
        })
        .await
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

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn client() -> net::Client {
        let policy = net::AddressPolicy::from_settings(&["loopback".to_owned()], &[]);
        let settings = net::Settings {
            policy: policy.unwrap(),
            ..net::Settings::default()
        };
        net::Client::new(settings).unwrap()
    }

    /// What became of a request through a way that closes after it was asked
    /// `open` times, and what the provider has seen of it.
    async fn sent(open: usize, body: &str) -> (Result<u16, TransportError>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/token", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            let mut piece = [0; 1024];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                seen.extend_from_slice(&piece[..length]);
                if seen.windows(4).any(|end| end == b"\r\n\r\n") {
                    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
                    std::io::Write::write_all(&mut stream, answer).unwrap();
                    break;
                }
            }
            String::from_utf8(seen).unwrap()
        });
        let request = Request::post(&url).body(body.as_bytes().to_vec()).unwrap();
        let asked = AtomicUsize::new(0);
        let may_send = Arc::new(move || asked.fetch_add(1, Ordering::SeqCst) < open);
        let client = client();
        let outbound = Outbound {
            client: &client,
            deadline: Duration::from_secs(60),
            may_send: Some(may_send),
        };
        let answer = outbound.send(request).await;
        // A connection, if there was none, so that the server is through.
        let address = url["http://".len()..url.len() - "/token".len()].to_owned();
        drop(client);
        let _ = std::net::TcpStream::connect(address);
        let seen = tokio::task::spawn_blocking(move || server.join().unwrap());
        (
            answer.map(|answer| answer.status().as_u16()),
            seen.await.unwrap(),
        )
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_leaves_once_the_way_is_closed() {
        // The second time is while it connects.
        for open in [0, 1] {
            for body in ["", "grant_type=x"] {
                let (answer, seen) = sent(open, body).await;
                let Err(TransportError::Failed(reason)) = answer else {
                    panic!("{answer:?}");
                };
                assert!(reason.contains("ended with an error"), "{reason}");
                assert_eq!(seen, "", "{body}");
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_has_left_while_it_was_open_is_answered() {
        let (answer, seen) = sent(usize::MAX, "").await;
        assert_eq!(answer.unwrap(), 204);
        assert!(seen.contains("content-length: 0\r\n"), "{seen}");
    }
}
