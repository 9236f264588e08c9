//! Calls of a provider's API with a connection's credentials.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::call;
use crate::client::Client;
use crate::error::{Error, known};

const TIMEOUT: Duration = Duration::from_secs(120);
/// The server sends only headers with this prefix on, without it.
const PREFIX: &str = "nango-proxy-";
/// Those that say what the body is go on without it, and once.
const OF_BODY: [HeaderName; 3] = [
    header::CONTENT_TYPE,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
];

/// A call of a provider's API; see
/// [`ConnectionHandle::proxy`](crate::ConnectionHandle::proxy).
///
/// When Linkspan cannot be reached, it is made again as the client's
/// [`RetryPolicy`](crate::RetryPolicy) says. Whatever Linkspan answers stands:
/// that the *API* is asked again is for [`retries`](Self::retries) to say.
#[must_use = "nothing is called before `send`"]
pub struct ProxyCall {
    client: Client,
    method: Method,
    path: String,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Body,
    timeout: Duration,
    /// The first mistake; `send` answers it.
    mistake: Option<String>,
}

impl ProxyCall {
    pub(crate) fn new(
        client: &Client,
        integration: &str,
        connection_id: &str,
        method: Method,
        path: String,
    ) -> Self {
        let call = Self {
            client: client.clone(),
            method,
            path,
            query: Vec::new(),
            headers: HeaderMap::new(),
            body: Body::Held(Bytes::new()),
            timeout: TIMEOUT,
            mistake: None,
        };
        call.instruction("provider-config-key", integration)
            .instruction("connection-id", connection_id)
    }

    /// Adds a query parameter.
    pub fn query(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.query.push((name.into(), value.to_string()));
        self
    }

    /// Adds a header for the API.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let of_body = OF_BODY
            .iter()
            .find(|of_body| name.eq_ignore_ascii_case(of_body.as_str()));
        if let Some(of_body) = of_body {
            self.headers.remove(of_body);
            return self.append(name, value);
        }
        self.append(&format!("{PREFIX}{name}"), value)
    }

    /// Sends JSON.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(body) => self.body = Body::Held(body.into()),
            Err(error) => self.mistake = self.mistake.or(Some(error.to_string())),
        }
        self.header("content-type", "application/json")
    }

    /// Sends bytes; say what they are by the header `Content-Type`.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self {
            body: Body::Held(body.into()),
            ..self
        }
    }

    /// Sends bytes as they come, for what is too large to hold; say what they
    /// are by the header `Content-Type`. They are sent once: such a call is
    /// never made again, and an error of the stream ends it.
    ///
    /// ```no_run
    /// # async fn run(linkspan: linkspan_client::Client) -> Result<(), linkspan_client::Error> {
    /// use futures_util::stream;
    /// use linkspan_client::{Bytes, Method};
    ///
    /// let rows = (0..1_000_000).map(|n| Ok::<_, std::io::Error>(Bytes::from(format!("{n}\n"))));
    /// linkspan
    ///     .connection("warehouse", "the connection's id")
    ///     .proxy(Method::PUT, "/files/numbers.csv")
    ///     .header("Content-Type", "text/csv")
    ///     .stream(stream::iter(rows))
    ///     .send()
    ///     .await?
    ///     .error_for_status()
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn stream<S, E>(self, body: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: std::error::Error + Send + Sync + 'static,
    {
        Self {
            body: Body::Streamed(reqwest::Body::wrap_stream(body)),
            ..self
        }
    }

    /// How often Linkspan asks the API again (20 times at most) when it fails
    /// or asks to wait, as the provider's template knows it.
    pub fn retries(self, retries: u32) -> Self {
        self.instruction("retries", &retries.to_string())
    }

    /// Further statuses that Linkspan asks the API again after.
    pub fn retry_on(self, statuses: impl IntoIterator<Item = u16>) -> Self {
        let texts: Vec<String> = statuses
            .into_iter()
            .map(|status| status.to_string())
            .collect();
        self.instruction("retry-on", &texts.join(","))
    }

    /// Calls this address in place of the template's base URL, where the
    /// server allows it.
    pub fn base_url_override(self, url: impl AsRef<str>) -> Self {
        self.instruction("base-url-override", url.as_ref())
    }

    /// Asks for an answer that is not compressed. This client decompresses
    /// nothing.
    pub fn decompress(self) -> Self {
        self.instruction("decompress", "true")
    }

    /// Lets every header go along, the credentials too, when the API redirects
    /// to another host of the same site (the same registrable domain; never
    /// from https to http). Otherwise only harmless ones, such as `Accept`, go.
    pub fn forward_headers_on_redirect(self) -> Self {
        self.instruction("forward-headers-on-redirect", "true")
    }

    /// How long to wait for the answer to begin, which includes the retries;
    /// two minutes unless set. The body then takes as long as it takes.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    fn instruction(mut self, name: &'static str, value: &str) -> Self {
        self.headers.remove(name);
        self.append(name, value)
    }

    fn append(mut self, name: &str, value: &str) -> Self {
        match (name.parse::<HeaderName>(), HeaderValue::try_from(value)) {
            (Ok(name), Ok(mut value)) => {
                // What it holds is not known, so it is treated as a secret.
                value.set_sensitive(true);
                self.headers.append(name, value);
            }
            _ => {
                let mistake = || format!("{name:?}, or its value, cannot stand in a header");
                self.mistake.get_or_insert_with(mistake);
            }
        }
        self
    }

    /// Makes the call. Every answer is a success here, whatever its status:
    /// see [`ProxyResponse::error_for_status`].
    ///
    /// # Errors
    /// [`Error::Request`] when the call cannot be made, [`Error::Transport`]
    /// or [`Error::Timeout`] when Linkspan gives no answer.
    pub async fn send(self) -> Result<ProxyResponse, Error> {
        if let Some(mistake) = self.mistake {
            return Err(Error::Request(mistake));
        }
        let url = address(&self.client.inner.base_url, &self.path, &self.query)?;
        let request =
            |headers| call::request(&self.client, self.method.clone(), url.clone(), headers);
        let held = match self.body {
            Body::Held(held) => held,
            Body::Streamed(body) => {
                let request = request(self.headers)?.body(body);
                let inner = call::head(request, self.timeout).await?;
                return Ok(ProxyResponse { inner });
            }
        };
        let mut attempt = 1;
        loop {
            let request = request(self.headers.clone())?.body(held.clone());
            let error = match call::head(request, self.timeout).await {
                Ok(inner) => return Ok(ProxyResponse { inner }),
                Err(error) => error,
            };
            let again = match error {
                Error::Transport(_) => {
                    let policy = &self.client.inner.retries;
                    policy.after_failure(attempt, &self.method, &error)
                }
                _ => None,
            };
            tokio::time::sleep(again.ok_or(error)?).await;
            attempt += 1;
        }
    }
}

/// What is sent with a call.
enum Body {
    /// Can be sent again.
    Held(Bytes),
    /// Can be sent once.
    Streamed(reqwest::Body),
}

impl std::fmt::Debug for ProxyCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxyCall")
            .field("method", &self.method)
            .finish_non_exhaustive()
    }
}

/// A path that climbs out of `/proxy` would call Linkspan itself with the API
/// key, so it is refused.
fn address(base: &Url, path: &str, query: &[(String, String)]) -> Result<Url, Error> {
    let mut url = base.clone();
    let root = format!("{}/proxy/", base.path().trim_end_matches('/'));
    let (path, own_query) = path
        .split_once('?')
        .map_or((path, None), |(path, query)| (path, Some(query)));
    url.set_path(&format!("{root}{}", path.trim_start_matches('/')));
    if !url.path().starts_with(&root) {
        return Err(Error::Request("the path leads out of the API".to_owned()));
    }
    url.set_query(own_query);
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

/// What a provider's API answered, or Linkspan in its place.
pub struct ProxyResponse {
    inner: reqwest::Response,
}

impl ProxyResponse {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// The same answer if its status is a success.
    ///
    /// # Errors
    /// [`Error::Api`] when the body is an error of Linkspan's, with a code of
    /// its table; [`Error::Upstream`] otherwise. An API that answered in
    /// Linkspan's format would be taken for it.
    pub async fn error_for_status(self) -> Result<Self, Error> {
        let status = self.status();
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(self);
        }
        let request_id = call::request_id(self.headers());
        let body = self.bytes().await?;
        match Error::answered(status, request_id, &body) {
            Error::Api { code, .. } if known(&code).is_none() => {
                Err(Error::Upstream { status, body })
            }
            error => Err(error),
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// [`Error::Transport`] when it does not arrive.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        Ok(self.inner.bytes().await?)
    }

    /// The whole body, as JSON.
    ///
    /// # Errors
    /// [`Error::Transport`] when it does not arrive, [`Error::Decode`] when it
    /// is not such JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, Error> {
        serde_json::from_slice(&self.bytes().await?).map_err(Error::Decode)
    }

    /// The body as it comes. Dropping the stream ends the call.
    pub fn stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin {
        Box::pin(self.inner.bytes_stream().map_err(Error::from))
    }
}

impl std::fmt::Debug for ProxyResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProxyResponse")
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Result<String, Error> {
        let base = Url::parse("https://example.com/linkspan").unwrap();
        let query = [("a".to_owned(), "b c".to_owned())];
        address(&base, path, &query).map(String::from)
    }

    #[test]
    fn a_path_may_have_a_query_and_stays_as_it_is() {
        let root = "https://example.com/linkspan/proxy";
        assert_eq!(url("/x").unwrap(), format!("{root}/x?a=b+c"));
        assert_eq!(url("x%2Fy?z=1").unwrap(), format!("{root}/x%2Fy?z=1&a=b+c"));
        assert_eq!(url("/x#y").unwrap(), format!("{root}/x%23y?a=b+c"));
        assert_eq!(url("").unwrap(), format!("{root}/?a=b+c"));
    }

    #[test]
    fn a_path_cannot_leave_the_api() {
        for path in [
            "..",
            "/../connections",
            "/a/../../connections",
            "/%2e%2E/connections",
            "/.%2e/x",
            "/..\\connections",
        ] {
            assert!(
                matches!(url(path), Err(Error::Request(_))),
                "{path}: {:?}",
                url(path)
            );
        }
        assert!(url("/a/../b").is_ok());
    }
}
