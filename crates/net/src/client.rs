//! The client: one request out, one response back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderValue, Request, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as _, Incoming};
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use tokio::time::Instant;

use crate::body::{Body, Progress};
use crate::connect::{Connector, Usage};
use crate::error::{Error, find, host, is_broken};
use crate::lookup::SystemLookup;
use crate::policy::AddressPolicy;
use crate::request::{Draft, authority, normalise};
use crate::resolve::{CheckedResolver, Lookup};
use crate::tls::{self, Identity};

/// How often a request is sent again because it met connections that the
/// server was just closing.
const REPLAYS: usize = 2;

/// How a [`Client`] behaves.
#[derive(Clone)]
pub struct Settings {
    /// What may be called.
    pub policy: AddressPolicy,
    /// For name resolution, TCP and TLS together.
    pub connect_timeout: Duration,
    /// Idle connections kept for each scheme, host and port.
    pub pool_idle_per_host: usize,
    /// How long an idle connection is kept. Below the idle timeouts of common
    /// servers (60 s and more) few requests meet a closing connection.
    pub pool_idle_timeout: Duration,
    /// The `User-Agent` of requests that have none.
    pub user_agent: Option<String>,
    /// PEM files of certificate authorities to trust beside Mozilla's.
    pub extra_root_certificates: Vec<Vec<u8>>,
    /// Where addresses of names come from.
    pub lookup: Arc<dyn Lookup>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: AddressPolicy::strict(),
            connect_timeout: Duration::from_secs(10),
            pool_idle_per_host: 256,
            pool_idle_timeout: Duration::from_secs(30),
            user_agent: None,
            extra_root_certificates: Vec::new(),
            lookup: Arc::new(SystemLookup::default()),
        }
    }
}

/// Times allowed to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// From the call to the head of the (last) response, connecting included.
    /// While a streamed body is sent, from the last piece of it that was taken.
    pub response_head: Duration,
}

/// Bounds of one call whose answer is read whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the call to the end of the response's body.
    pub total: Duration,
    /// Bytes of the response's body.
    pub max_body: usize,
}

/// The way out. Clones share connections and cost one reference count.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    http: legacy::Client<Connector, Body>,
    connector: Connector,
    roots: Arc<RootCertStore>,
    resolver: CheckedResolver,
    connect_timeout: Duration,
    pool: Pool,
    policy: Arc<AddressPolicy>,
    user_agent: Option<HeaderValue>,
    /// The same client without the certificate that this one presents.
    anonymous: Option<Client>,
}

/// How idle connections are kept.
#[derive(Clone, Copy)]
struct Pool {
    idle_per_host: usize,
    idle_timeout: Duration,
}

impl Pool {
    fn over(self, connector: Connector) -> legacy::Client<Connector, Body> {
        legacy::Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(self.idle_per_host)
            .pool_idle_timeout(self.idle_timeout)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector)
    }
}

impl Client {
    /// Builds a client with its own pool of connections. A pooled connection
    /// was checked when it was opened, so another policy needs another client.
    ///
    /// # Errors
    /// [`Error::Settings`] names the field that cannot be used.
    pub fn new(settings: Settings) -> Result<Self, Error> {
        let user_agent = settings.user_agent.as_deref().map(HeaderValue::from_str);
        let user_agent = user_agent
            .transpose()
            .map_err(|_| setting("user_agent", "not a header value"))?;
        let roots = Arc::new(tls::roots(&settings.extra_root_certificates)?);
        let tls = tls::verifying(&roots)?.with_no_client_auth();
        let policy = Arc::new(settings.policy);
        let resolver = CheckedResolver {
            lookup: settings.lookup,
            policy: Arc::clone(&policy),
        };
        let connect_timeout = settings.connect_timeout;
        let connector = Connector::new(resolver.clone(), tls, connect_timeout);
        let pool = Pool {
            idle_per_host: settings.pool_idle_per_host,
            idle_timeout: settings.pool_idle_timeout,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                http: pool.over(connector.clone()),
                connector,
                roots,
                resolver,
                connect_timeout,
                pool,
                policy,
                user_agent,
                anonymous: None,
            }),
        })
    }

    /// The same client with connections of its own. A connection is driven by
    /// the thread that opened it, and one that another thread uses costs both of
    /// them a wake-up for each message: a thread that calls often has its own.
    #[must_use]
    pub fn apart(&self) -> Self {
        self.over(self.inner.connector.clone(), self.inner.anonymous.clone())
    }

    /// The same client for calls that present a certificate (RFC 8446 section
    /// 4.4.2), with connections of its own: one that was opened as somebody is
    /// used for nobody else. Servers are verified as ever. A redirect to another
    /// scheme, host or port is followed without the certificate.
    ///
    /// # Errors
    /// [`Error::Identity`] when the two are not a certificate with its key.
    pub fn presenting(&self, identity: &Identity<'_>) -> Result<Self, Error> {
        let tls = tls::identified(&self.inner.roots, identity)?;
        let inner = &self.inner;
        let connector = Connector::new(inner.resolver.clone(), tls, inner.connect_timeout);
        Ok(self.over(connector, Some(self.anonymous().clone())))
    }

    /// This client as nobody: itself, unless it presents a certificate.
    pub(crate) fn anonymous(&self) -> &Self {
        self.inner.anonymous.as_ref().unwrap_or(self)
    }

    fn over(&self, connector: Connector, anonymous: Option<Self>) -> Self {
        let Inner {
            roots,
            resolver,
            connect_timeout,
            pool,
            policy,
            user_agent,
            ..
        } = &*self.inner;
        Self {
            inner: Arc::new(Inner {
                http: pool.over(connector.clone()),
                connector,
                roots: Arc::clone(roots),
                resolver: resolver.clone(),
                connect_timeout: *connect_timeout,
                pool: *pool,
                policy: Arc::clone(policy),
                user_agent: user_agent.clone(),
                anonymous,
            }),
        }
    }

    /// What this client may call.
    pub fn policy(&self) -> &AddressPolicy {
        &self.inner.policy
    }

    /// Sends one request and returns when the response's head is there; both
    /// bodies stream. Redirects are answers like others. `Host`, framing and
    /// connection headers are the client's own. Any status is `Ok`.
    ///
    /// # Errors
    /// Every variant of [`Error`] but those of redirects, totals and sizes.
    pub async fn send(
        &self,
        mut request: Request<Body>,
        deadlines: Deadlines,
    ) -> Result<Response<Incoming>, Error> {
        let authority = authority(request.uri())?;
        normalise(&mut request, self.inner.user_agent.as_ref())?;
        let draft = Draft::of(&request);
        let progress = request.body().progress();
        let exchange = self.exchange(request, draft.as_ref(), &authority);
        let after = deadlines.response_head;
        if let Some(result) = within(after, progress.as_ref(), exchange).await {
            return result;
        }
        let host = host(&authority);
        Err(if progress.is_some_and(|progress| progress.is_waiting()) {
            Error::RequestStalled { host, after }
        } else {
            Error::TimeoutHead { host, after }
        })
    }

    /// Sends one request and reads the whole response, for token endpoints and
    /// the like. Redirects are not followed. Any status is `Ok`.
    ///
    /// # Errors
    /// As [`Client::send`], and [`Error::TimeoutTotal`], [`Error::BodyTooLarge`].
    pub async fn fetch(
        &self,
        request: Request<Bytes>,
        limits: Limits,
    ) -> Result<Response<Bytes>, Error> {
        let authority = authority(request.uri())?;
        let draft = request.into();
        whole(self.send_draft(&draft, &authority), limits, &authority).await
    }

    /// The same for a body that is sent once, as it comes.
    ///
    /// # Errors
    /// As [`Client::fetch`], and [`Error::RequestBody`].
    pub async fn fetch_once(
        &self,
        mut request: Request<Body>,
        limits: Limits,
    ) -> Result<Response<Bytes>, Error> {
        let authority = authority(request.uri())?;
        normalise(&mut request, self.inner.user_agent.as_ref())?;
        whole(self.exchange(request, None, &authority), limits, &authority).await
    }

    /// One hop of a request that is kept for more.
    pub(crate) async fn send_draft(
        &self,
        draft: &Draft,
        authority: &Authority,
    ) -> Result<Response<Incoming>, Error> {
        let mut request = draft.request();
        normalise(&mut request, self.inner.user_agent.as_ref())?;
        let again = draft.method.is_idempotent().then_some(draft);
        self.exchange(request, again, authority).await
    }

    pub(crate) async fn send_draft_until(
        &self,
        draft: &Draft,
        authority: &Authority,
        deadline: Instant,
        deadlines: Deadlines,
    ) -> Result<Response<Incoming>, Error> {
        match tokio::time::timeout_at(deadline, self.send_draft(draft, authority)).await {
            Ok(result) => result,
            Err(_) => Err(Error::TimeoutHead {
                host: host(authority),
                after: deadlines.response_head,
            }),
        }
    }

    /// hyper-util sends again what it had not begun to send when a pooled
    /// connection closed. What it had sent on a connection that was just
    /// closing is sent again here, if `again` has it.
    async fn exchange(
        &self,
        mut request: Request<Body>,
        again: Option<&Draft>,
        authority: &Authority,
    ) -> Result<Response<Incoming>, Error> {
        let mut replays = 0;
        loop {
            let error = match self.inner.http.request(request).await {
                Ok(response) if response.status().is_informational() => {
                    // Nothing was asked for that could be switched to.
                    return Err(Error::Protocol {
                        host: host(authority),
                        reason: format!("unexpected status {}", response.status().as_u16()),
                    });
                }
                Ok(mut response) => {
                    if let Some(usage) = response.extensions_mut().remove::<Usage>() {
                        usage.answered();
                    }
                    return Ok(response);
                }
                Err(error) => error,
            };
            match again {
                Some(draft) if replays < REPLAYS && met_a_closing_connection(&error) => {
                    replays += 1;
                    request = draft.request();
                    normalise(&mut request, self.inner.user_agent.as_ref())?;
                }
                _ => return Err(Error::from_client(&error, authority)),
            }
        }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

/// An answer with its body, in time and within its size.
async fn whole(
    exchange: impl Future<Output = Result<Response<Incoming>, Error>>,
    limits: Limits,
    authority: &Authority,
) -> Result<Response<Bytes>, Error> {
    let answer = async {
        let (head, body) = exchange.await?.into_parts();
        let body = read(body, limits.max_body, authority).await?;
        Ok(Response::from_parts(head, body))
    };
    match tokio::time::timeout(limits.total, answer).await {
        Ok(result) => result,
        Err(_) => Err(Error::TimeoutTotal {
            host: host(authority),
            after: limits.total,
        }),
    }
}

/// What comes of `work`, unless it takes longer than `limit` since the start,
/// and since the last progress.
async fn within<T>(
    limit: Duration,
    progress: Option<&Progress>,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut deadline = Instant::now() + limit;
    loop {
        if let Ok(done) = tokio::time::timeout_at(deadline, work.as_mut()).await {
            return Some(done);
        }
        let extended = progress?.last() + limit;
        if extended <= deadline {
            return None;
        }
        deadline = extended;
    }
}

fn met_a_closing_connection(error: &legacy::Error) -> bool {
    let mut extensions = http::Extensions::new();
    if let Some(connected) = error.connect_info() {
        connected.get_extras(&mut extensions);
    }
    let reused = extensions.get::<Usage>().is_some_and(Usage::has_answered);
    reused && find::<hyper::Error>(error).is_some_and(is_broken)
}

async fn read(body: Incoming, limit: usize, authority: &Authority) -> Result<Bytes, Error> {
    let too_large = || Error::BodyTooLarge {
        host: host(authority),
        limit,
    };
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > limit) {
        return Err(too_large());
    }
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(error) => Err(match find::<hyper::Error>(&*error) {
            Some(error) => Error::from_hyper(error, host(authority)),
            None => Error::Reset {
                host: host(authority),
            },
        }),
    }
}

pub(crate) fn setting(setting: &'static str, reason: impl ToString) -> Error {
    Error::Settings {
        setting,
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    /// A body of `pieces`, one every 50 seconds, and an answer after `then`.
    async fn uploaded(pieces: u32, then: Duration) -> Option<&'static str> {
        let body = Body::stream(futures_util::stream::pending::<Result<Bytes, Error>>());
        let progress = body.progress().unwrap();
        let work = async {
            for _ in 0..pieces {
                tokio::time::sleep(Duration::from_secs(50)).await;
                progress.made();
            }
            tokio::time::sleep(then).await;
            "answer"
        };
        within(LIMIT, Some(&progress), work).await
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_goes_on_is_not_given_up() {
        let soon = Duration::from_secs(59);
        assert_eq!(uploaded(100, soon).await, Some("answer"));
        let begun = Instant::now();
        assert_eq!(uploaded(2, Duration::from_secs(3_600)).await, None);
        assert_eq!(
            begun.elapsed().as_secs(),
            160,
            "the limit after the last piece"
        );
        let silent = tokio::time::sleep(Duration::from_secs(61));
        assert_eq!(within(LIMIT, None, silent).await, None);
    }
}
