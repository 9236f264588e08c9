//! The listener. Whoever reaches it may be anybody in the network that it is
//! bound to, so that connections are few, short, and answer one request each.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::metrics::Metrics;

/// Connections at once. Further ones wait in the system's queue.
const CONNECTIONS: usize = 64;
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may take from its beginning to its end.
const CONNECTION: Duration = Duration::from_secs(15);
/// How long a process may take to say that it is ready.
const READY: Duration = Duration::from_secs(2);
/// The largest head, in bytes; hyper takes no less than 8 KiB.
const LARGEST_HEAD: usize = 8 * 1024;
/// A pause after the system could not give a connection, which it says at once
/// and again while there are no files left.
const PAUSE: Duration = Duration::from_millis(100);

const JSON: &str = "application/json";
/// Prometheus' text format.
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What only the process itself knows.
pub trait Probe: Send + Sync + 'static {
    /// Whether it can do its work now; else why not, in words for whoever
    /// operates it. An answer that takes more than two seconds is a no, and one
    /// is asked for at a time.
    fn ready(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Sets the gauges whose values lie elsewhere; called before each scrape.
    fn observe(&self);
}

/// Why the monitor did not start.
#[derive(Debug, thiserror::Error)]
#[error("the monitor cannot listen on {bind}: {source}")]
pub struct StartError {
    /// Where it should have listened.
    pub bind: SocketAddr,
    /// Why it cannot.
    pub source: std::io::Error,
}

/// A listener that serves until it is dropped.
#[derive(Debug)]
pub struct Monitor {
    address: SocketAddr,
    is_stopping: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

/// What answers are made of.
struct Served<P> {
    metrics: Metrics,
    probe: P,
    is_stopping: Arc<AtomicBool>,
    /// A check takes one of the few connections to the database: however many
    /// ask, there is one at a time.
    turn: Mutex<()>,
}

impl Monitor {
    /// Listens and serves, on the runtime of the caller. Port 0 takes a free
    /// one.
    ///
    /// # Errors
    /// [`StartError`] when the address is taken or not ours.
    pub async fn start<P: Probe>(
        bind: SocketAddr,
        metrics: Metrics,
        probe: P,
    ) -> Result<Self, StartError> {
        let failed = |source| StartError { bind, source };
        let listener = TcpListener::bind(bind).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let is_stopping = Arc::new(AtomicBool::new(false));
        let served = Arc::new(Served {
            metrics,
            probe,
            is_stopping: Arc::clone(&is_stopping),
            turn: Mutex::default(),
        });
        Ok(Self {
            address,
            is_stopping,
            task: tokio::spawn(accept(listener, served)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the process is not ready: whoever sends it work should send
    /// it elsewhere. Health and metrics go on until this is dropped.
    pub fn stopping(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept<P: Probe>(listener: TcpListener, served: Arc<Served<P>>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    // The semaphore is never closed.
    while let Ok(place) = Arc::clone(&places).acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(serve(stream, Arc::clone(&served), place));
            }
            Err(error) => {
                tracing::debug!(%error, "the monitor could not take a connection");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn serve<P: Probe>(stream: TcpStream, served: Arc<Served<P>>, place: OwnedSemaphorePermit) {
    let service = service_fn(move |request| {
        let served = Arc::clone(&served);
        async move { Ok::<_, Infallible>(served.answer(&request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(LARGEST_HEAD)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a connection to the monitor broke"),
        Err(_) => tracing::debug!("a connection to the monitor took too long"),
    }
    drop(place);
}

impl<P: Probe> Served<P> {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut refusal = answer(StatusCode::METHOD_NOT_ALLOWED, JSON, "{}\n");
            let allowed = HeaderValue::from_static("GET, HEAD");
            refusal.headers_mut().insert(ALLOW, allowed);
            return refusal;
        }
        match request.uri().path() {
            "/health" => json_answer(StatusCode::OK, &json!({ "result": "ok" })),
            "/ready" => self.ready().await,
            "/metrics" => {
                self.probe.observe();
                answer(StatusCode::OK, TEXT, self.metrics.render())
            }
            _ => {
                let reason = "there are /health, /ready and /metrics";
                let body = json!({ "result": "not found", "reason": reason });
                json_answer(StatusCode::NOT_FOUND, &body)
            }
        }
    }

    async fn ready(&self) -> Response<Full<Bytes>> {
        match self.reason().await {
            None => json_answer(StatusCode::OK, &json!({ "result": "ok" })),
            Some(reason) => {
                let body = json!({ "result": "not ready", "reason": reason });
                json_answer(StatusCode::SERVICE_UNAVAILABLE, &body)
            }
        }
    }

    /// Why the process is not ready, unless it is.
    async fn reason(&self) -> Option<String> {
        if self.is_stopping.load(Ordering::Relaxed) {
            return Some("the process is stopping".to_owned());
        }
        let check = async {
            let _turn = self.turn.lock().await;
            self.probe.ready().await
        };
        match timeout(READY, check).await {
            Ok(ready) => ready.err(),
            Err(_) => Some(format!(
                "the check took longer than {} seconds",
                READY.as_secs()
            )),
        }
    }
}

fn json_answer(status: StatusCode, body: &serde_json::Value) -> Response<Full<Bytes>> {
    answer(status, JSON, format!("{body}\n"))
}

fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}
