//! What of a request may be written to a log or an error message.

use http::{HeaderMap, HeaderName, Uri, header};
use url::Url;

/// What stands in the place of a hidden value.
pub const HIDDEN: &str = "[hidden]";

/// Parts of a header name that tell that its value is a secret.
const SECRET_WORDS: [&str; 11] = [
    "auth",
    "cookie",
    "credential",
    "jwt",
    "key",
    "passw",
    "secret",
    "session",
    "signature",
    "sid",
    "token",
];

/// `scheme://host:port/path`: without query, fragment and userinfo, where
/// tokens travel. A URL without a host is reduced to its scheme.
pub fn url(url: &Url) -> String {
    let scheme = url.scheme();
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{scheme}://{host}:{port}{}", url.path()),
        (Some(host), None) => format!("{scheme}://{host}{}", url.path()),
        (None, _) => format!("{scheme}:"),
    }
}

/// The same for a request's target.
pub fn uri(uri: &Uri) -> String {
    let host = uri
        .authority()
        .map_or("", |authority| host_and_port(authority.as_str()));
    match uri.scheme_str() {
        Some(scheme) => format!("{scheme}://{host}{}", uri.path()),
        None => format!("{host}{}", uri.path()),
    }
}

/// An authority without its userinfo.
pub(crate) fn host_and_port(authority: &str) -> &str {
    authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host)
}

/// Name and value of each header, in order, for a log: values that are or may
/// be secrets are replaced by [`HIDDEN`], URLs lose their query.
pub fn headers(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .map(|(name, value)| {
            let shown = if value.is_sensitive() || is_secret(name) {
                HIDDEN.to_owned()
            } else {
                let text = String::from_utf8_lossy(value.as_bytes());
                if is_url(name) {
                    without_query(&text)
                } else {
                    text.into_owned()
                }
            };
            (name.as_str().to_owned(), shown)
        })
        .collect()
}

fn is_secret(name: &HeaderName) -> bool {
    SECRET_WORDS.iter().any(|word| name.as_str().contains(word))
}

fn is_url(name: &HeaderName) -> bool {
    [
        header::LOCATION,
        header::CONTENT_LOCATION,
        header::REFERER,
        header::LINK,
        header::REFRESH,
    ]
    .contains(name)
}

/// Relative references cannot be parsed alone, so everything after the first
/// `?` or `#` goes, and so does a userinfo.
fn without_query(text: &str) -> String {
    if let Ok(parsed) = Url::parse(text) {
        return url(&parsed);
    }
    match text.find(['?', '#']) {
        Some(end) => format!("{}{HIDDEN}", &text[..=end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn urls_lose_query_fragment_and_userinfo() {
        let shown = |text: &str| url(&Url::parse(text).unwrap());
        assert_eq!(
            shown("https://me:pw@api.example.com:8443/v1/items?access_token=s#s"),
            "https://api.example.com:8443/v1/items"
        );
        assert_eq!(shown("http://[::1]/?code=s"), "http://[::1]/");
        assert_eq!(shown("data:text/plain,secret"), "data:");
        let target = Uri::from_static("http://me:pw@example.com/a?token=s");
        assert_eq!(uri(&target), "http://example.com/a");
    }

    #[test]
    fn secret_headers_are_hidden_and_others_shown() {
        let mut map = HeaderMap::new();
        let secret = [
            "authorization",
            "proxy-authorization",
            "cookie",
            "set-cookie",
            "x-api-key",
            "x-amz-security-token",
            "client-secret",
            "x-auth",
            "x-shopify-hmac-signature",
        ];
        for name in secret {
            map.append(name, HeaderValue::from_static("s3cret"));
        }
        let mut marked = HeaderValue::from_static("s3cret");
        marked.set_sensitive(true);
        map.append("x-plain", marked);
        map.append(
            "location",
            HeaderValue::from_static("https://u:s3cret@a.example/p?s3cret"),
        );
        map.append("referer", HeaderValue::from_static("/p?s3cret"));
        map.append("content-type", HeaderValue::from_static("text/plain"));

        let shown = headers(&map);
        assert!(
            shown.iter().all(|(_, value)| !value.contains("s3cret")),
            "{shown:?}"
        );
        assert!(shown.contains(&("content-type".into(), "text/plain".into())));
        assert!(shown.contains(&("location".into(), "https://a.example/p".into())));
        assert_eq!(
            shown.iter().filter(|(_, value)| value == HIDDEN).count(),
            secret.len() + 1
        );
    }
}
