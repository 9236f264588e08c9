//! What a server that wants a token says in `WWW-Authenticate` (RFC 9110
//! section 11.6.1, RFC 6750 section 3).

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;

/// Longest header that is read.
const LONGEST: usize = 8 * 1024;

/// What a challenge says of how to get a token.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Challenge {
    /// Where the resource is described (RFC 9728 section 5.1).
    pub(super) resource_metadata: Option<String>,
    /// The scopes that are needed.
    pub(super) scope: Option<String>,
}

/// The first of each parameter, in whichever challenge it is.
pub(super) fn read(headers: &HeaderMap) -> Challenge {
    let mut challenge = Challenge::default();
    let values = headers.get_all(WWW_AUTHENTICATE).iter();
    for value in values.filter_map(|value| value.to_str().ok()) {
        for (name, value) in params(value) {
            let place = match name.to_ascii_lowercase().as_str() {
                "resource_metadata" => &mut challenge.resource_metadata,
                "scope" => &mut challenge.scope,
                _ => continue,
            };
            place.get_or_insert(value);
        }
    }
    challenge
}

/// Every `name=value` and `name="value"`. Schemes and lone tokens are passed
/// over.
fn params(header: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    let mut rest = if header.len() > LONGEST { "" } else { header };
    while let Some(at) = rest.find(|c: char| is_token(c)) {
        rest = &rest[at..];
        let end = rest.find(|c: char| !is_token(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        let Some(value) = after.trim_start().strip_prefix('=') else {
            rest = after;
            continue;
        };
        let value = value.trim_start();
        let (value, after) = match value.strip_prefix('"') {
            Some(quoted) => unquoted(quoted),
            None => {
                let end = value.find([',', ' ', '\t']).unwrap_or(value.len());
                (value[..end].to_owned(), &value[end..])
            }
        };
        found.push((name, value));
        rest = after;
    }
    found
}

fn unquoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// RFC 9110 section 5.6.2.
fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn challenge(values: &[&str]) -> Challenge {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(WWW_AUTHENTICATE, value.parse().unwrap());
        }
        read(&headers)
    }

    #[test]
    fn the_parameters_are_found_in_every_form() {
        let url = "https://mcp.example/.well-known/oauth-protected-resource?a=b,c";
        for header in [
            format!("Bearer resource_metadata=\"{url}\""),
            format!(
                "bearer error=\"invalid_token\", Resource_Metadata = \"{url}\" , scope=\"a b\""
            ),
            format!(
                "Basic realm=\"x, scope=no\", Bearer scope=\"a b\",resource_metadata=\"{url}\""
            ),
        ] {
            let found = challenge(&[&header]);
            assert_eq!(found.resource_metadata.as_deref(), Some(url), "{header}");
            assert!(
                matches!(found.scope.as_deref(), None | Some("a b")),
                "{header}"
            );
        }
        let two = challenge(&[
            "Basic realm=\"a\\\"b\"",
            "Bearer resource_metadata=https://a/b",
        ]);
        assert_eq!(two.resource_metadata.as_deref(), Some("https://a/b"));
        assert_eq!(challenge(&["Negotiate abc=="]), Challenge::default());
        assert_eq!(challenge(&[]), Challenge::default());
    }

    proptest! {
        #[test]
        fn no_header_is_too_odd(text in "[ -~]{0,200}") {
            challenge(&[&text]);
        }
    }
}
