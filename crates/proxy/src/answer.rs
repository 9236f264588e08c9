//! What of an API's answer is for the caller.

use http::header::{
    CONNECTION, CONTENT_LENGTH, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName};

/// Headers that belong to one connection (RFC 9110, 7.6.1). Trailers are not
/// passed on, so neither is what announces them.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Takes out the headers that end here: those of the connection, by name or
/// because `Connection` lists them, and `Access-Control-*`, which speak about
/// the API's origin, while the browser sees ours. Where the body's end is
/// marked by chunks, a length beside them is not to be believed (RFC 9112, 6.3).
pub(crate) fn end_to_end(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    let ends_here: Vec<HeaderName> = headers
        .keys()
        .filter(|name| is_hop_by_hop(name) || name.as_str().starts_with("access-control-"))
        .cloned()
        .chain(listed(headers))
        .collect();
    for name in ends_here {
        headers.remove(name);
    }
}

fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(name) || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}

/// The names in `Connection`. A peer cannot list away how long its body is.
fn listed(headers: &HeaderMap) -> impl Iterator<Item = HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .filter(|name: &HeaderName| *name != CONTENT_LENGTH)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn what_belongs_to_the_connection_or_its_origin_ends_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Internal, content-length"),
            ("connection", "x-other"),
            ("keep-alive", "timeout=5"),
            ("proxy-authenticate", "Basic"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("trailer", "x-checksum"),
            ("upgrade", "h2c"),
            ("x-internal", "1"),
            ("x-other", "1"),
            ("access-control-allow-origin", "*"),
            ("access-control-expose-headers", "*"),
            ("content-length", "3"),
            ("content-encoding", "gzip"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("link", "</next>; rel=next"),
        ] {
            headers.append(name, HeaderValue::from_static(value));
        }
        end_to_end(&mut headers);
        let mut left: Vec<_> = headers.iter().map(|(name, _)| name.as_str()).collect();
        left.sort_unstable();
        assert_eq!(
            left,
            [
                "content-encoding",
                "content-length",
                "link",
                "set-cookie",
                "set-cookie"
            ]
        );
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        end_to_end(&mut headers);
        assert_eq!(headers.get(TRANSFER_ENCODING), None);
        assert_eq!(headers.get(CONTENT_LENGTH), None);
    }
}
