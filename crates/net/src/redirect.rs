//! Following redirects without carrying credentials to strangers.

use bytes::Bytes;
use http::uri::Authority;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use tokio::time::Instant;
use url::{Host, Url};

use crate::client::{Client, Deadlines};
use crate::error::{Error, RedirectDenial, host};
use crate::request::{Draft, authority, target};

/// How redirects are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirects {
    /// Redirects followed before the call fails.
    pub max: usize,
    /// Whether credentials also go to other hosts of the same registrable
    /// domain (by the public suffix list), never from https to http.
    pub forward_credentials: bool,
    /// Headers that carry credentials, beside `authorization`, `cookie` and
    /// `proxy-authorization`.
    pub sensitive_headers: Vec<HeaderName>,
}

impl Default for Redirects {
    fn default() -> Self {
        Self {
            max: 5,
            forward_credentials: false,
            sensitive_headers: Vec::new(),
        }
    }
}

/// In the extensions of a response that came after at least one redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The URL that answered. Its query may hold secrets: see [`crate::redact::url`].
    pub url: Url,
    /// How many redirects led there.
    pub redirects: usize,
}

/// A request that keeps its credentials, on its way to where a redirect leads.
#[derive(Debug)]
pub struct Onward<'a> {
    /// Its method, which the redirect may have changed.
    pub method: &'a Method,
    /// Where it goes.
    pub url: &'a Url,
    /// Its body; nothing if the redirect has dropped it.
    pub body: Option<&'a Bytes>,
}

/// What becomes of the headers of a request that is redirected.
#[derive(Debug)]
pub enum Resigned {
    /// They hold for every address.
    Same,
    /// They hold for one address, and these for the next.
    Anew(HeaderMap),
    /// They hold for one address, and there are none for the next: the redirect
    /// is the answer.
    Impossible,
}

/// Headers that describe a body, and go with it.
static BODY_HEADERS: [HeaderName; 7] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
    header::EXPECT,
    header::TRANSFER_ENCODING,
];

static CREDENTIAL_HEADERS: [HeaderName; 3] = [
    header::AUTHORIZATION,
    header::COOKIE,
    header::PROXY_AUTHORIZATION,
];

impl Client {
    /// Sends a request and follows 301, 302, 303, 307 and 308 by the rules of
    /// RFC 9110, 15.4. Every hop is checked like a first request. Credentials
    /// are dropped for good at the first hop to another scheme, host or port,
    /// unless [`Redirects::forward_credentials`] lets them through; a client
    /// certificate is never presented there. A redirect without `Location` is
    /// returned as it is.
    ///
    /// A body that 307 or 308 repeats goes to another host, too: use
    /// [`Client::fetch`] where the body holds a secret.
    ///
    /// # Errors
    /// As [`Client::send`], and [`Error::TooManyRedirects`],
    /// [`Error::RedirectDenied`], which also stands for a blocked target.
    pub async fn send_following(
        &self,
        request: Request<Bytes>,
        redirects: &Redirects,
        deadlines: Deadlines,
    ) -> Result<Response<Incoming>, Error> {
        self.send_signed(request, redirects, &|_| Resigned::Same, deadlines)
            .await
    }

    /// As [`Client::send_following`], of a request that may be signed: wherever
    /// its credentials go along, `resign` says what its headers are there.
    ///
    /// # Errors
    /// As [`Client::send_following`].
    pub async fn send_signed(
        &self,
        request: Request<Bytes>,
        redirects: &Redirects,
        resign: &(dyn Fn(&Onward<'_>) -> Resigned + Sync),
        deadlines: Deadlines,
    ) -> Result<Response<Incoming>, Error> {
        let deadline = Instant::now() + deadlines.response_head;
        let mut draft = Draft::from(request);
        let mut client = self;
        let mut hops = 0;
        let mut is_known = true;
        loop {
            let authority = authority(&draft.uri)?;
            let sent = client
                .send_draft_until(&draft, &authority, deadline, deadlines)
                .await;
            let mut response = match sent {
                Err(Error::Blocked { host, reason }) if hops > 0 => {
                    let reason = RedirectDenial::Blocked(reason);
                    return Err(Error::RedirectDenied { host, reason });
                }
                sent => sent?,
            };
            note_landing(&mut response, &draft, hops);
            let Some(location) = location(&response) else {
                return Ok(response);
            };
            if hops == redirects.max {
                return Err(Error::TooManyRedirects { max: redirects.max });
            }
            hops += 1;
            let status = response.status();
            let hop = self.redirect(&mut draft, &authority, status, location, redirects)?;
            if hop.is_away {
                client = self.anonymous();
            }
            is_known &= hop.is_known;
            if is_known {
                match resign(&hop.onward(&draft)) {
                    Resigned::Same => {}
                    Resigned::Anew(headers) => draft.headers = headers,
                    Resigned::Impossible => return Ok(response),
                }
            }
        }
    }

    /// Turns `draft` into the request for the next hop.
    fn redirect(
        &self,
        draft: &mut Draft,
        from: &Authority,
        status: StatusCode,
        location: &[u8],
        redirects: &Redirects,
    ) -> Result<Hop, Error> {
        let refuse = |host: String, reason| Err(Error::RedirectDenied { host, reason });
        let current = Url::parse(&draft.uri.to_string()).ok();
        let next = std::str::from_utf8(location)
            .ok()
            .and_then(|text| current.as_ref()?.join(text).ok());
        let (Some(current), Some(next)) = (current, next) else {
            return refuse(host(from), RedirectDenial::Location);
        };
        if !matches!(next.scheme(), "http" | "https") {
            return refuse(shown(&next), RedirectDenial::Scheme);
        }
        if !next.username().is_empty() || next.password().is_some() {
            return refuse(shown(&next), RedirectDenial::Userinfo);
        }
        let checked = next
            .host()
            .map_or(Ok(()), |host| self.policy().check_host(&host));
        if let Err(reason) = checked {
            return refuse(shown(&next), RedirectDenial::Blocked(reason));
        }

        let has_body = change_method(draft, status);
        let downgrade = current.scheme() == "https" && next.scheme() == "http";
        if downgrade && (!draft.body.is_empty() || has_credentials(&draft.headers, redirects)) {
            return refuse(shown(&next), RedirectDenial::Downgrade);
        }
        let is_away = !is_same_origin(&current, &next);
        let is_forwarded = redirects.forward_credentials && same_site(&current, &next);
        let is_known = !is_away || is_forwarded;
        if !is_known {
            drop_credentials(&mut draft.headers, redirects);
        }
        match target(&next) {
            Ok(uri) => draft.uri = uri,
            Err(_) => return refuse(shown(&next), RedirectDenial::Location),
        }
        Ok(Hop {
            url: next,
            is_away,
            is_known,
            has_body,
        })
    }
}

/// Where a redirect leads.
struct Hop {
    url: Url,
    /// To another scheme, host or port.
    is_away: bool,
    /// Whether credentials may go there.
    is_known: bool,
    /// Whether the body goes there.
    has_body: bool,
}

impl Hop {
    fn onward<'a>(&'a self, draft: &'a Draft) -> Onward<'a> {
        Onward {
            method: &draft.method,
            url: &self.url,
            body: self.has_body.then_some(&draft.body),
        }
    }
}

fn note_landing(response: &mut Response<Incoming>, draft: &Draft, redirects: usize) {
    if redirects == 0 {
        return;
    }
    if let Ok(url) = Url::parse(&draft.uri.to_string()) {
        response
            .extensions_mut()
            .insert(Followed { url, redirects });
    }
}

fn location(response: &Response<Incoming>) -> Option<&[u8]> {
    let followed = [
        StatusCode::MOVED_PERMANENTLY,
        StatusCode::FOUND,
        StatusCode::SEE_OTHER,
        StatusCode::TEMPORARY_REDIRECT,
        StatusCode::PERMANENT_REDIRECT,
    ];
    if !followed.contains(&response.status()) {
        return None;
    }
    response
        .headers()
        .get(header::LOCATION)
        .map(http::HeaderValue::as_bytes)
}

/// RFC 9110, 15.4.2 to 15.4.4: 303 asks for a GET (or HEAD), and POST becomes
/// GET after 301 and 302, as every browser has it. Says whether the body stays.
fn change_method(draft: &mut Draft, status: StatusCode) -> bool {
    let to_get = match status {
        StatusCode::SEE_OTHER => draft.method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => draft.method == Method::POST,
        _ => false,
    };
    if to_get {
        draft.method = Method::GET;
        draft.body = Bytes::new();
        for name in &BODY_HEADERS {
            draft.headers.remove(name);
        }
    }
    !to_get
}

fn is_same_origin(from: &Url, to: &Url) -> bool {
    from.scheme() == to.scheme()
        && from.host() == to.host()
        && from.port_or_known_default() == to.port_or_known_default()
}

/// The same host, or the same registrable domain. An address has none.
fn same_site(from: &Url, to: &Url) -> bool {
    match (from.host(), to.host()) {
        (Some(Host::Domain(from)), Some(Host::Domain(to))) => {
            let (from, to) = (from.trim_end_matches('.'), to.trim_end_matches('.'));
            from == to
                || matches!((psl::domain_str(from), psl::domain_str(to)), (Some(a), Some(b)) if a == b)
        }
        (from, to) => from == to,
    }
}

fn sensitive(redirects: &Redirects) -> impl Iterator<Item = &HeaderName> {
    CREDENTIAL_HEADERS
        .iter()
        .chain(&redirects.sensitive_headers)
}

fn has_credentials(headers: &HeaderMap, redirects: &Redirects) -> bool {
    sensitive(redirects).any(|name| headers.contains_key(name))
}

fn drop_credentials(headers: &mut HeaderMap, redirects: &Redirects) {
    for name in sensitive(redirects) {
        headers.remove(name);
    }
}

/// Host and port of a URL, for an error.
fn shown(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (Some(host), None) => host.to_owned(),
        (None, _) => format!("a {} URL", url.scheme()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sites_are_registrable_domains() {
        let same =
            |from: &str, to: &str| same_site(&Url::parse(from).unwrap(), &Url::parse(to).unwrap());
        assert!(same(
            "https://api.example.com/",
            "https://files.example.com:8443/"
        ));
        assert!(same("https://example.co.uk/", "https://a.b.example.co.uk/"));
        assert!(same("https://[::1]:1/", "https://[::1]:2/"));
        assert!(!same("https://a.co.uk/", "https://b.co.uk/"));
        // Private suffixes: each customer of a hoster is a site of its own.
        assert!(!same("https://a.github.io/", "https://b.github.io/"));
        assert!(!same(
            "https://example.com/",
            "https://example.com.evil.net/"
        ));
        assert!(!same("https://10.0.0.1/", "https://11.0.0.1/"));
        assert!(!same("https://com/", "https://example.com/"));
    }
}
