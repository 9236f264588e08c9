//! The client, and how it is set up.

use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::connect_sessions::ConnectSessions;
use crate::connection::ConnectionHandle;
use crate::connections::Connections;
use crate::environments::{self, ApiKeys, EnvironmentVariable, Environments};
use crate::error::Error;
use crate::integrations::Integrations;
use crate::logs::Logs;
use crate::providers::Providers;
use crate::retry::RetryPolicy;
use crate::syncs::Syncs;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const TIMEOUT: Duration = Duration::from_secs(30);
const USER_AGENT: &str = concat!("linkspan-rust/", env!("CARGO_PKG_VERSION"));

/// A client of one Linkspan environment: the one that its API key belongs to.
///
/// Cheap to clone; clones share one pool of connections.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) http: reqwest::Client,
    pub(crate) base_url: Url,
    pub(crate) api_key: SecretString,
    pub(crate) user_agent: String,
    pub(crate) timeout: Duration,
    pub(crate) retries: RetryPolicy,
}

impl Client {
    /// A client with the usual settings.
    ///
    /// # Errors
    /// [`Error::Setup`], as [`ClientBuilder::build`].
    pub fn new(base_url: impl AsRef<str>, api_key: impl Into<SecretString>) -> Result<Self, Error> {
        Self::builder(base_url, api_key).build()
    }

    /// A client with settings of its own. `base_url` is the server's address,
    /// such as `https://linkspan.example.com`; it may have a path.
    ///
    /// ```
    /// use std::time::Duration;
    /// use linkspan_client::{Client, RetryPolicy};
    ///
    /// # fn main() -> Result<(), linkspan_client::Error> {
    /// let client = Client::builder("https://linkspan.example.com", "the API key")
    ///     .timeout(Duration::from_secs(10))
    ///     .retries(RetryPolicy::none())
    ///     .build()?;
    /// assert!(!format!("{client:?}").contains("the API key"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn builder(base_url: impl AsRef<str>, api_key: impl Into<SecretString>) -> ClientBuilder {
        ClientBuilder {
            base_url: base_url.as_ref().to_owned(),
            api_key: api_key.into(),
            user_agent: USER_AGENT.to_owned(),
            timeout: TIMEOUT,
            retries: RetryPolicy::default(),
            http: None,
        }
    }

    /// The catalogue of providers.
    #[must_use]
    pub fn providers(&self) -> Providers {
        Providers::new(self.clone())
    }

    /// The integrations of the environment.
    #[must_use]
    pub fn integrations(&self) -> Integrations {
        Integrations::new(self.clone())
    }

    /// Connect sessions: how end users connect their accounts.
    #[must_use]
    pub fn connect_sessions(&self) -> ConnectSessions {
        ConnectSessions::new(self.clone())
    }

    /// The connections of the environment.
    #[must_use]
    pub fn connections(&self) -> Connections {
        Connections::new(self.clone())
    }

    /// The environments of the account. The key needs scopes over its account.
    #[must_use]
    pub fn environments(&self) -> Environments {
        Environments::new(self.clone())
    }

    /// The API keys of the account's environments. The key needs scopes over
    /// its account.
    #[must_use]
    pub fn api_keys(&self) -> ApiKeys {
        ApiKeys::new(self.clone())
    }

    /// The operation log.
    #[must_use]
    pub fn logs(&self) -> Logs {
        Logs::new(self.clone())
    }

    /// The environment's variables, which its functions read.
    ///
    /// # Errors
    /// See [`Error`].
    pub async fn environment_variables(&self) -> Result<Vec<EnvironmentVariable>, Error> {
        environments::variables(self).await
    }

    /// Makes a new key that webhooks to your product are signed with, and shows
    /// it: from now on [`webhook::receive`](crate::webhook::receive) needs this
    /// one. An attempt whose answer was lost may have made one already, so this
    /// is not made again unless nothing was sent.
    ///
    /// # Errors
    /// `forbidden` without the scope; see [`Error`].
    pub async fn rotate_webhook_signing_key(&self) -> Result<SecretString, Error> {
        environments::rotate_signing_key(self).await
    }

    /// One connection, by its integration's key and its own id. No call is
    /// made yet.
    pub fn connection(
        &self,
        integration: impl Into<String>,
        connection_id: impl Into<String>,
    ) -> ConnectionHandle {
        ConnectionHandle::new(self.clone(), integration.into(), connection_id.into())
    }

    /// The syncs of all connections of an integration.
    pub fn syncs(&self, integration: impl Into<String>) -> Syncs {
        Syncs::new(self.clone(), integration.into(), None)
    }
}

/// The settings of a [`Client`]; see [`Client::builder`].
#[derive(Debug, Clone)]
#[must_use = "nothing is set up before `build`"]
pub struct ClientBuilder {
    base_url: String,
    api_key: SecretString,
    user_agent: String,
    timeout: Duration,
    retries: RetryPolicy,
    http: Option<reqwest::Client>,
}

impl ClientBuilder {
    /// How long one attempt at a call may take, its answer included; 30
    /// seconds unless set. Proxied calls have a limit of their own
    /// ([`ProxyCall::timeout`](crate::ProxyCall::timeout)).
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How failed calls are made again.
    pub fn retries(self, retries: RetryPolicy) -> Self {
        Self { retries, ..self }
    }

    /// Says who calls, in place of `linkspan-rust/` and the version.
    pub fn user_agent(self, user_agent: impl Into<String>) -> Self {
        let user_agent = user_agent.into();
        Self { user_agent, ..self }
    }

    /// Uses a client of your own, for instance one that trusts a private
    /// certificate authority. Build it with `redirect::Policy::none()`: the
    /// API never redirects, and what a proxied API answers should reach you.
    pub fn http_client(self, http: reqwest::Client) -> Self {
        let http = Some(http);
        Self { http, ..self }
    }

    /// Sets up the client. Makes no call.
    ///
    /// # Errors
    /// [`Error::Setup`] when the address is not an `http` or `https` URL, when
    /// it has a user, a query or a fragment, or when TLS cannot be set up.
    pub fn build(self) -> Result<Client, Error> {
        let http = match self.http {
            Some(http) => http,
            None => http_client()?,
        };
        Ok(Client {
            inner: Arc::new(Inner {
                http,
                base_url: base_url(&self.base_url)?,
                api_key: self.api_key,
                user_agent: self.user_agent,
                timeout: self.timeout,
                retries: self.retries,
            }),
        })
    }
}

fn base_url(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|error| Error::Setup(format!("base URL: {error}")))?;
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    if !is_plain {
        let wanted = "base URL: expected http or https, without user, query and fragment";
        return Err(Error::Setup(wanted.to_owned()));
    }
    Ok(url)
}

/// Trusts what the operating system trusts, by ring. The provider is given to
/// this client alone: installing one for the whole process is the program's
/// choice, not a library's.
fn http_client() -> Result<reqwest::Client, Error> {
    use rustls_platform_verifier::BuilderVerifierExt;

    let setup = |error: &dyn std::fmt::Display| Error::Setup(format!("TLS: {error}"));
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ClientConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .and_then(BuilderVerifierExt::with_platform_verifier)
        .map_err(|error| setup(&error))?
        .with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .build()
        .map_err(|error| setup(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_checked_when_the_client_is_set_up() {
        for good in ["http://127.0.0.1:3003", "https://example.com/linkspan/"] {
            assert!(Client::new(good, "key").is_ok(), "{good}");
        }
        for wrong in [
            "example.com",
            "ftp://example.com",
            "https://me:pw@example.com",
            "https://example.com/?a",
            "https://example.com/#a",
        ] {
            let error = Client::new(wrong, "key").unwrap_err();
            assert!(matches!(error, Error::Setup(_)), "{wrong}");
            assert!(!error.to_string().contains("pw"), "{error}");
        }
    }
}
