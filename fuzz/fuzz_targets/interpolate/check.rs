//! What must hold of every text and every value, whatever they are: for the
//! fuzzer, and for the tests of `linkspan-providers`, which include this file.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use linkspan_providers::interpolate::{CallError, Function, Path, Scope, Text, UrlText};

/// Gives every path the same value, and shows calls instead of computing them.
struct Same<'a>(&'a str);

impl Scope for Same<'_> {
    fn lookup(&self, _: &Path) -> Option<Cow<'_, str>> {
        Some(Cow::Borrowed(self.0))
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        Some(DateTime::UNIX_EPOCH)
    }

    fn call(&self, _: Function, arguments: &[String]) -> Result<String, CallError> {
        Ok(format!("({})", arguments.join("|")))
    }
}

/// No path has a value.
struct Nothing;

impl Scope for Nothing {
    fn lookup(&self, _: &Path) -> Option<Cow<'_, str>> {
        None
    }
}

/// The input is a text and, after the first zero byte, a value.
///
/// # Panics
/// If anything is not as it must be.
pub(crate) fn check(input: &[u8]) {
    let mut parts = input.splitn(2, |byte| *byte == 0);
    let source = String::from_utf8_lossy(parts.next().unwrap_or_default());
    let value = String::from_utf8_lossy(parts.next().unwrap_or_default());
    check_text(&source, &value);
    check_url(&source, &value);
}

fn check_text(source: &str, value: &str) {
    let Ok(text) = Text::parse(source) else {
        return;
    };
    assert_eq!(text.to_string(), source);
    assert_eq!(Text::parse(text.as_str()).as_ref(), Ok(&text));
    let evaluated = text.evaluate(&Same(value));
    if text.paths().is_empty() {
        // Nothing else may have an influence.
        assert_eq!(evaluated, text.evaluate(&Same("other")));
    }
    if !source.contains("${") {
        assert_eq!(evaluated.as_deref(), Ok(source));
    }
    // A value is never read for placeholders: one that looks like some comes out
    // as any other would.
    let mark = "\u{1}";
    let hostile = "${apiKey} || ${base64(x)}";
    if let (Ok(marked), false) = (text.evaluate(&Same(mark)), source.contains(['(', '\u{1}'])) {
        let expected = marked.replace(mark, hostile);
        assert_eq!(text.evaluate(&Same(hostile)), Ok(expected));
    }
    let _ = text.evaluate(&Nothing);
}

/// A value in the middle or at the end of a host, or after it, leaves what the
/// template says of the host and before it.
fn check_url(source: &str, value: &str) {
    let Ok(url) = UrlText::parse(source) else {
        return;
    };
    let _ = url.to_url(&Nothing);
    let Ok(made) = url.to_url(&Same(value)) else {
        return;
    };
    assert!(matches!(made.scheme(), "http" | "https"));
    let is_plain = source.is_ascii() && !source.contains([' ', '\t', '\n', '\r', '\\', '@', '%']);
    let Some(rest) = source.strip_prefix("https://").filter(|_| is_plain) else {
        return;
    };
    assert_eq!(made.scheme(), "https");
    assert_eq!((made.username(), made.password()), ("", None));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('(') {
        // A function may stand there, whose end is not told so easily.
    } else if authority.contains("${") {
        let tail = authority.rsplit_once('}').map_or("", |(_, tail)| tail);
        let tail = tail.split(':').next().unwrap_or_default();
        let host = made.host_str().unwrap_or_default();
        // What looks like a number may be written in another way.
        let is_name = tail.starts_with('.') && tail.ends_with(|c: char| c.is_ascii_alphabetic());
        if is_name {
            assert!(host.ends_with(&tail.to_ascii_lowercase()), "{made}");
        }
    } else if let Ok(fixed) = url::Url::parse(&format!("https://{authority}")) {
        assert_eq!(made.host_str(), fixed.host_str());
        assert_eq!(made.port(), fixed.port());
    }
}
