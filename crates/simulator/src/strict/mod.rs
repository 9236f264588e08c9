//! Strict providers, one a mode: what they have in common.
//!
//! A mode's provider is a function that looks at a request and answers or
//! refuses it. [`Strict`] serves it on a free port of the loopback interface,
//! keeps every request and every refusal, and misbehaves when it is told to.
//! Templates reach it through `linkspan_testkit::relocate`, so the first segment
//! of a path is the host that the request was meant for.

mod answer;
mod serve;

pub mod app;
pub mod aws_sigv4;
pub mod bill;
pub mod client_credentials;
pub mod custom;
pub mod install_plugin;
pub mod jwt;
pub mod mcp;
pub mod oauth1;
pub mod oauth2;
pub mod outbound;
pub mod signature;
pub mod tba;
pub mod two_step;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

pub use answer::{Answer, Refused};

use crate::journal::{Journal, Refusal, SeenRequest};

/// What a provider does with a request. It runs on the server's task, so it
/// must not block.
pub type Rules = dyn Fn(&SeenRequest) -> Result<Answer, Refused> + Send + Sync;

/// What a path does in place of the rules.
#[derive(Debug, Clone)]
pub enum Misbehaviour {
    /// Takes no credentials: 401 with `{"error":"invalid_client"}`.
    Refuse,
    /// Answers 200 with a page of HTML.
    Garbage,
    /// Reads the request and never answers.
    Hang,
    /// Answers so.
    Answer(Answer),
}

/// A running strict provider. Dropping it closes its port.
pub struct Strict {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    rules: Box<Rules>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    journal: Journal,
    /// By the beginning of a path; the one that was asked for last counts.
    misbehaviours: Vec<(String, Misbehaviour)>,
}

impl Strict {
    /// Serves these rules over HTTP, on the caller's runtime.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start<F>(rules: F) -> io::Result<Self>
    where
        F: Fn(&SeenRequest) -> Result<Answer, Refused> + Send + Sync + 'static,
    {
        Self::start_with(Box::new(rules), None).await
    }

    /// Serves these rules over HTTPS as `tls` says. A handshake that fails is
    /// no request: [`Strict::requests`] does not have it.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start_tls<F>(tls: ServerConfig, rules: F) -> io::Result<Self>
    where
        F: Fn(&SeenRequest) -> Result<Answer, Refused> + Send + Sync + 'static,
    {
        Self::start_with(Box::new(rules), Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    async fn start_with(rules: Box<Rules>, tls: Option<TlsAcceptor>) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let state = Mutex::default();
        let shared = Arc::new(Shared { rules, state });
        let task = tokio::spawn(serve::accept(listener, tls, Arc::clone(&shared)));
        Ok(Self {
            address,
            scheme,
            shared,
            task,
        })
    }

    /// Where it answers, without a slash at the end; by address, or by
    /// `localhost` over HTTPS, since certificates are for names.
    #[must_use]
    pub fn url(&self) -> String {
        match self.scheme {
            "https" => format!("https://localhost:{}", self.address.port()),
            scheme => format!("{scheme}://{}", self.address),
        }
    }

    /// What arrived, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<SeenRequest> {
        self.shared.with(|state| state.journal.requests())
    }

    /// What arrived at paths that begin so, oldest first.
    #[must_use]
    pub fn requests_to(&self, prefix: &str) -> Vec<SeenRequest> {
        let mut requests = self.requests();
        requests.retain(|request| request.path.starts_with(prefix));
        requests
    }

    /// What the rules refused, oldest first. A test ends by looking here.
    #[must_use]
    pub fn refusals(&self) -> Vec<Refusal> {
        self.shared.with(|state| state.journal.refusals())
    }

    /// Forgets the refusals, and gives them.
    #[must_use]
    pub fn take_refusals(&self) -> Vec<Refusal> {
        self.shared.with(|state| state.journal.take_refusals())
    }

    /// From now on, paths that begin with `prefix` (`/` for all) misbehave so.
    pub fn misbehave(&self, prefix: &str, misbehaviour: Misbehaviour) {
        let entry = (prefix.to_owned(), misbehaviour);
        self.shared.with(|state| state.misbehaviours.push(entry));
    }

    /// Ends every misbehaviour; what hangs goes on hanging.
    pub fn behave(&self) {
        self.shared.with(|state| state.misbehaviours.clear());
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.url();
        f.debug_struct("Strict")
            .field("url", &url)
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps the request and decides; `None` is no answer ever.
    fn decide(&self, request: SeenRequest) -> Option<Answer> {
        let misbehaviour = self.with(|state| {
            state.journal.saw(request.clone());
            let mut latest = state.misbehaviours.iter().rev();
            let found = latest.find(|(prefix, _)| request.path.starts_with(prefix));
            found.map(|(_, misbehaviour)| misbehaviour.clone())
        });
        match misbehaviour {
            None => Some(self.answer(&request)),
            Some(Misbehaviour::Refuse) => Some(Refused::client("this client is unknown").answer()),
            Some(Misbehaviour::Garbage) => Some(Answer::garbage()),
            Some(Misbehaviour::Answer(answer)) => Some(answer),
            Some(Misbehaviour::Hang) => None,
        }
    }

    fn answer(&self, request: &SeenRequest) -> Answer {
        (self.rules)(request).unwrap_or_else(|refused| {
            self.with(|state| {
                state.journal.refused(Refusal {
                    method: request.method.clone(),
                    path: request.path.clone(),
                    reason: refused.reason().to_owned(),
                });
            });
            refused.answer()
        })
    }
}
