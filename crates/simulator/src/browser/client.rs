//! HTTP with cookies, one request at a time, redirects not followed.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::Url;

use super::BrowserError;

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) struct HttpClient {
    client: Client<HttpConnector, Full<Bytes>>,
    cookies: Vec<Cookie>,
}

struct Cookie {
    host: String,
    name: String,
    value: String,
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) status: u16,
    headers: HeaderMap,
    pub(super) body: String,
}

impl Default for HttpClient {
    fn default() -> Self {
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            cookies: Vec::new(),
        }
    }
}

impl fmt::Debug for HttpClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.cookies.iter().map(|c| c.name.as_str()).collect();
        f.debug_struct("HttpClient")
            .field("cookies", &names)
            .finish_non_exhaustive()
    }
}

impl Answer {
    /// Where a redirect leads.
    pub(super) fn location(&self) -> Option<&str> {
        let header = self.headers.get(LOCATION)?.to_str().ok()?;
        (300..400).contains(&self.status).then_some(header)
    }
}

impl HttpClient {
    pub(super) async fn get(&mut self, url: &Url) -> Result<Answer, BrowserError> {
        self.send(Method::GET, url, None).await
    }

    pub(super) async fn post(&mut self, url: &Url, form: &str) -> Result<Answer, BrowserError> {
        self.send(Method::POST, url, Some(form)).await
    }

    async fn send(
        &mut self,
        method: Method,
        url: &Url,
        form: Option<&str>,
    ) -> Result<Answer, BrowserError> {
        // The fragment stays in the browser.
        let mut target = url.clone();
        target.set_fragment(None);
        let mut request = Request::builder().method(method).uri(target.as_str());
        if form.is_some() {
            request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        if let Some(cookies) = self.cookies_for(url) {
            request = request.header(COOKIE, cookies);
        }
        let body = Full::new(Bytes::from(form.unwrap_or_default().to_owned()));
        let request = request.body(body).map_err(failed)?;
        let answer = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        let answer = answer.map_err(|_| BrowserError::TimedOut)??;
        self.keep_cookies(url, &answer.headers);
        Ok(answer)
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, BrowserError> {
        let response = self.client.request(request).await.map_err(failed)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(failed)?.to_bytes();
        Ok(Answer {
            status: head.status.as_u16(),
            headers: head.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    }

    fn cookies_for(&self, url: &Url) -> Option<String> {
        let host = url.host_str()?;
        let fitting = self.cookies.iter().filter(|cookie| cookie.host == host);
        let pairs: Vec<String> = fitting.map(|c| format!("{}={}", c.name, c.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    fn keep_cookies(&mut self, url: &Url, headers: &HeaderMap) {
        let Some(host) = url.host_str() else { return };
        for line in headers.get_all(SET_COOKIE) {
            let Some((pair, attributes)) = line.to_str().ok().map(split_cookie) else {
                continue;
            };
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            self.cookies
                .retain(|c| c.host != host || c.name != name.trim());
            if !attributes.contains("max-age=0") {
                self.cookies.push(Cookie {
                    host: host.to_owned(),
                    name: name.trim().to_owned(),
                    value: value.trim().to_owned(),
                });
            }
        }
    }
}

fn split_cookie(line: &str) -> (&str, String) {
    let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
    (pair, attributes.to_ascii_lowercase())
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> BrowserError {
    BrowserError::Http(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn cookies_are_kept_by_host_and_deleted_by_age() {
        let url = |text| Url::parse(text).expect("a URL");
        let mut client = HttpClient::default();
        let mut headers = HeaderMap::new();
        headers.append(
            SET_COOKIE,
            HeaderValue::from_static("a=1; Path=/; HttpOnly"),
        );
        headers.append(SET_COOKIE, HeaderValue::from_static("b=2"));
        client.keep_cookies(&url("http://127.0.0.1:1/"), &headers);
        let other_port = url("http://127.0.0.1:2/x");
        assert_eq!(client.cookies_for(&other_port).as_deref(), Some("a=1; b=2"));
        assert_eq!(client.cookies_for(&url("http://localhost/")), None);

        headers.clear();
        headers.append(SET_COOKIE, HeaderValue::from_static("a=; Max-Age=0"));
        client.keep_cookies(&other_port, &headers);
        assert_eq!(client.cookies_for(&other_port).as_deref(), Some("b=2"));
    }
}
