//! One call of the API: its address, its attempts, its answer.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use secrecy::ExposeSecret;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::client::Client;
use crate::error::Error;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A call that is being put together.
pub(crate) struct Call {
    client: Client,
    method: Method,
    url: Result<Url, Error>,
    headers: Result<HeaderMap, Error>,
    body: Option<Result<Bytes, Error>>,
}

impl Call {
    pub(crate) fn new(client: &Client, method: Method, path: &[&str]) -> Self {
        Self {
            method,
            url: address(&client.inner.base_url, path),
            headers: Ok(HeaderMap::new()),
            body: None,
            client: client.clone(),
        }
    }

    pub(crate) fn query<V: AsRef<str>>(
        mut self,
        pairs: impl IntoIterator<Item = (impl AsRef<str>, V)>,
    ) -> Self {
        if let Ok(url) = &mut self.url {
            let mut pairs = pairs.into_iter().peekable();
            if pairs.peek().is_some() {
                url.query_pairs_mut().extend_pairs(pairs);
            }
        }
        self
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        if let Ok(headers) = &mut self.headers {
            match HeaderValue::try_from(value) {
                Ok(value) => drop(headers.insert(name, value)),
                Err(_) => {
                    let message = format!("{name} has characters that no header can have");
                    self.headers = Err(Error::Request(message));
                }
            }
        }
        self
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        let body = serde_json::to_vec(body).map_err(|error| Error::Request(error.to_string()));
        self.body = Some(body.map(Bytes::from));
        self
    }

    /// The request of a call without a body, to be sent once.
    pub(crate) fn request(self) -> Result<reqwest::RequestBuilder, Error> {
        request(&self.client, self.method, self.url?, self.headers?)
    }

    /// Sends, again where the policy says so, and reads the answer as JSON.
    pub(crate) async fn send<T: DeserializeOwned>(self) -> Result<T, Error> {
        let body = self.answered().await?;
        serde_json::from_slice(&body).map_err(Error::Decode)
    }

    /// Sends, again where the policy says so; what a success says is not read.
    pub(crate) async fn done(self) -> Result<(), Error> {
        self.answered().await.map(|_| ())
    }

    async fn answered(self) -> Result<Bytes, Error> {
        let Self {
            client,
            method,
            url,
            headers,
            body,
        } = self;
        let url = url?;
        let headers = headers?;
        let body = body.transpose()?;
        let policy = &client.inner.retries;
        let mut attempt = 1;
        loop {
            let wait = match once(&client, &method, &url, &headers, body.clone()).await {
                Ok(answer) if answer.status.is_success() => {
                    return Ok(answer.body);
                }
                Ok(answer) => policy
                    .after_answer(attempt, &method, answer.status, &answer.headers)
                    .ok_or_else(|| answer.into_error()),
                Err(error) => {
                    let wait = policy.after_failure(attempt, &method, &error);
                    wait.ok_or(error)
                }
            };
            tokio::time::sleep(wait?).await;
            attempt += 1;
        }
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn into_error(self) -> Error {
        Error::answered(self.status, request_id(&self.headers), &self.body)
    }
}

async fn once(
    client: &Client,
    method: &Method,
    url: &Url,
    headers: &HeaderMap,
    body: Option<Bytes>,
) -> Result<Answer, Error> {
    let mut headers = headers.clone();
    if body.is_some() {
        let json = HeaderValue::from_static("application/json");
        headers.insert(header::CONTENT_TYPE, json);
    }
    let request = request(client, method.clone(), url.clone(), headers)?;
    let request = request
        .timeout(client.inner.timeout)
        .body(body.unwrap_or_default());
    let answer = request.send().await?;
    Ok(Answer {
        status: answer.status(),
        headers: answer.headers().clone(),
        body: answer.bytes().await?,
    })
}

/// A request with what every call carries.
pub(crate) fn request(
    client: &Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
) -> Result<reqwest::RequestBuilder, Error> {
    let inner = &client.inner;
    let bearer = format!("Bearer {}", inner.api_key.expose_secret());
    let mut bearer = HeaderValue::try_from(bearer)
        .map_err(|_| Error::Request("the API key cannot stand in a header".to_owned()))?;
    bearer.set_sensitive(true);
    let user_agent = HeaderValue::try_from(&inner.user_agent)
        .map_err(|_| Error::Request("the user agent cannot stand in a header".to_owned()))?;
    let request = inner.http.request(method, url).headers(headers);
    Ok(request
        .header(header::AUTHORIZATION, bearer)
        .header(header::USER_AGENT, user_agent))
}

pub(crate) fn request_id(headers: &HeaderMap) -> Option<String> {
    Some(headers.get(REQUEST_ID)?.to_str().ok()?.to_owned())
}

/// The answer's head, within a time.
pub(crate) async fn head(
    request: reqwest::RequestBuilder,
    timeout: Duration,
) -> Result<reqwest::Response, Error> {
    match tokio::time::timeout(timeout, request.send()).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::Timeout),
    }
}

/// The base URL with further segments. An id that is empty or all dots would
/// make the address that of something else.
fn address(base: &Url, path: &[&str]) -> Result<Url, Error> {
    if path
        .iter()
        .any(|segment| matches!(*segment, "" | "." | ".."))
    {
        return Err(Error::Request(
            "an id cannot be empty, \".\" or \"..\"".to_owned(),
        ));
    }
    let mut url = base.clone();
    url.path_segments_mut()
        .map_err(|()| Error::Request("the base URL cannot have a path".to_owned()))?
        .pop_if_empty()
        .extend(path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stay_within_their_segment() {
        let base = Url::parse("https://example.com/linkspan/").unwrap();
        let url = |id| address(&base, &["connections", id]);
        assert_eq!(
            url("a/../b?c#d").unwrap().as_str(),
            "https://example.com/linkspan/connections/a%2F..%2Fb%3Fc%23d"
        );
        for wrong in ["", ".", ".."] {
            assert!(matches!(url(wrong), Err(Error::Request(_))), "{wrong:?}");
        }
        assert_eq!(
            url("%2e%2e").unwrap().path(),
            "/linkspan/connections/%252e%252e"
        );
    }
}
