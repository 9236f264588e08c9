//! Opening connections: host check, checked resolution, TCP, TLS, under one timeout.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;
use url::Host;

use crate::error::find;
use crate::policy::{AddressPolicy, Blocked};
use crate::resolve::CheckedResolver;

/// How long a silent connection lives before the kernel asks whether the peer is there.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Why a connection was not opened; [`crate::Error`] adds the host.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum ConnectFailure {
    #[error("{0}")]
    Blocked(Blocked),
    #[error("invalid host")]
    Host,
    #[error("name resolution failed")]
    Dns { temporary: bool },
    #[error("{0}")]
    Tcp(io::ErrorKind),
    #[error("{0}")]
    Tls(String),
    #[error("timeout")]
    Timeout,
}

type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, ConnectFailure>> + Send>>;

/// Checks the host, then opens a TCP connection. [`HttpConnector`] connects to
/// hosts that are addresses without asking the resolver, so the resolver's
/// check alone would not see them.
#[derive(Clone)]
pub(crate) struct CheckedTcp {
    tcp: HttpConnector<CheckedResolver>,
    policy: Arc<AddressPolicy>,
}

impl Service<Uri> for CheckedTcp {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectFailure;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        self.tcp.poll_ready(cx).map_err(|error| tcp_failure(&error))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        if let Err(failure) = check_host(&self.policy, &target) {
            return Box::pin(std::future::ready(Err(failure)));
        }
        let connecting = self.tcp.call(target);
        Box::pin(async move { connecting.await.map_err(|error| tcp_failure(&error)) })
    }
}

fn check_host(policy: &AddressPolicy, target: &Uri) -> Result<(), ConnectFailure> {
    let host = target.host().ok_or(ConnectFailure::Host)?;
    // Reads every spelling of an address that getaddrinfo might read, too.
    let host = Host::parse(host).map_err(|_| ConnectFailure::Host)?;
    policy.check_host(&host).map_err(ConnectFailure::Blocked)
}

fn tcp_failure(error: &(dyn std::error::Error + 'static)) -> ConnectFailure {
    if let Some(failure) = find::<ConnectFailure>(error) {
        return failure.clone();
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => ConnectFailure::Timeout,
        Some(kind) => ConnectFailure::Tcp(kind),
        None => ConnectFailure::Host,
    }
}

/// TLS where the scheme asks for it, and one timeout over all steps.
#[derive(Clone)]
pub(crate) struct Connector {
    https: HttpsConnector<CheckedTcp>,
    timeout: Duration,
}

impl Connector {
    pub(crate) fn new(resolver: CheckedResolver, tls: ClientConfig, timeout: Duration) -> Self {
        let policy = Arc::clone(&resolver.policy);
        let mut tcp = HttpConnector::new_with_resolver(resolver);
        tcp.enforce_http(false);
        // Without it, Nagle's algorithm and delayed acknowledgements add 40 ms.
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        // Shared out among the addresses of a name, so that a dead one leaves time for the next.
        tcp.set_connect_timeout(Some(timeout));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(CheckedTcp { tcp, policy });
        Self { https, timeout }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = ConnectFailure;
    type Future = Connecting<Stream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        // CheckedTcp and everything below are always ready.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let connecting = tokio::time::timeout(self.timeout, self.https.call(target));
        Box::pin(async move {
            match connecting.await {
                Ok(Ok(io)) => Ok(Stream {
                    io,
                    usage: Usage::default(),
                }),
                Ok(Err(error)) => Err(tls_failure(&*error)),
                Err(_) => Err(ConnectFailure::Timeout),
            }
        })
    }
}

/// Whatever is not a [`ConnectFailure`] yet comes from the handshake.
fn tls_failure(error: &(dyn std::error::Error + 'static)) -> ConnectFailure {
    if let Some(failure) = find::<ConnectFailure>(error) {
        return failure.clone();
    }
    if let Some(tls) = find::<rustls::Error>(error) {
        return ConnectFailure::Tls(tls.to_string());
    }
    match innermost_io(error) {
        Some(io::ErrorKind::UnexpectedEof) => ConnectFailure::Tcp(io::ErrorKind::ConnectionReset),
        Some(kind) => ConnectFailure::Tcp(kind),
        None => ConnectFailure::Tls(error.to_string()),
    }
}

fn innermost_io(error: &(dyn std::error::Error + 'static)) -> Option<io::ErrorKind> {
    let mut io = find::<io::Error>(error)?;
    while let Some(inner) = io.get_ref().and_then(|inner| find::<io::Error>(inner)) {
        io = inner;
    }
    Some(io.kind())
}

/// Whether a connection has answered a request; travels in the extensions of
/// each response and error. A request that fails on a connection that has
/// answered before may have met one that the peer was just closing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Usage(Arc<AtomicBool>);

impl Usage {
    pub(crate) fn answered(&self) {
        // Written once per connection: a shared cache line stays shared.
        if !self.has_answered() {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn has_answered(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// An open connection.
pub(crate) struct Stream {
    io: MaybeHttpsStream<TokioIo<TcpStream>>,
    usage: Usage,
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().extra(self.usage.clone());
        if self.io.connected().is_negotiated_h2() {
            connected.negotiated_h2()
        } else {
            connected
        }
    }
}

impl Read for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buffer)
    }
}

impl Write for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, slices)
    }
}
