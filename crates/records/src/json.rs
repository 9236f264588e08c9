//! JSON as text: finding an object's members without copying them, and the one
//! form of a value that all its spellings share.
//!
//! Everything here works on text that serde_json has found to be JSON. It is
//! never turned into numbers or strings of ours, so that what was saved comes
//! back to the letter, whatever its numbers' size and its strings' escapes.

use std::borrow::Cow;
use std::ops::Range;

/// How deep objects and arrays may be in one another.
pub(crate) const MOST_DEEP: usize = 500;

/// Why a text could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unreadable {
    /// It is deeper than [`MOST_DEEP`].
    TooDeep,
    /// It is not JSON.
    Malformed,
}

/// A member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member<'t> {
    /// Its key, without quotes and escapes. A surrogate that has no other half
    /// is the three bytes that it would have in UTF-8.
    pub(crate) key: Cow<'t, [u8]>,
    /// Its key as it was written, with quotes.
    pub(crate) written_key: &'t str,
    /// Its value as it was written.
    pub(crate) value: &'t str,
    /// Where the member stands, without the commas beside it.
    pub(crate) span: Range<usize>,
}

/// The members of an object in their order; `None` when the text is no object.
pub(crate) fn members(text: &str) -> Result<Option<Vec<Member<'_>>>, Unreadable> {
    let mut scan = Scan { text, at: 0 };
    scan.space();
    if scan.peek() != Some(b'{') {
        return Ok(None);
    }
    let mut members = Vec::new();
    scan.members(|scan, key| {
        let start = key.start;
        let written_key = scan.slice(key)?;
        let value = scan.value()?;
        members.push(Member {
            key: unescaped(written_key)?,
            written_key,
            span: start..value.end,
            value: scan.slice(value)?,
        });
        Ok(())
    })?;
    Ok(Some(members))
}

/// The content of a string that is written with quotes.
pub(crate) fn unescaped(written: &str) -> Result<Cow<'_, [u8]>, Unreadable> {
    let inner = written
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or(Unreadable::Malformed)?;
    if !inner.contains('\\') {
        return Ok(Cow::Borrowed(inner.as_bytes()));
    }
    let mut out = Vec::with_capacity(inner.len());
    unescape(inner, &mut out)?;
    Ok(Cow::Owned(out))
}

/// Appends the one form of a value: members sorted by key, no white space, no
/// escapes but of `"` and `\`. Numbers stay as they are written: 1.0 and 1 are
/// not taken for the same, since what reads them may not.
pub(crate) fn canonical(text: &str, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut scan = Scan { text, at: 0 };
    scan.canonical(out, 0)
}

/// A place in a text.
struct Scan<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scan<'t> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn expect(&mut self, byte: u8) -> Result<(), Unreadable> {
        self.space();
        match self.take(byte) {
            true => Ok(()),
            false => Err(Unreadable::Malformed),
        }
    }

    fn slice(&self, range: Range<usize>) -> Result<&'t str, Unreadable> {
        self.text.get(range).ok_or(Unreadable::Malformed)
    }

    /// Goes over an object; `each` gets where the key stands and goes over the
    /// value.
    fn members(
        &mut self,
        mut each: impl FnMut(&mut Self, Range<usize>) -> Result<(), Unreadable>,
    ) -> Result<(), Unreadable> {
        self.expect(b'{')?;
        self.space();
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            self.expect(b':')?;
            self.space();
            each(self, key)?;
            self.space();
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',')?;
        }
    }

    /// Goes over a string; where it stands, with its quotes.
    fn string(&mut self) -> Result<Range<usize>, Unreadable> {
        let start = self.at;
        if !self.take(b'"') {
            return Err(Unreadable::Malformed);
        }
        let bytes = self.text.as_bytes();
        loop {
            let rest = bytes.get(self.at..).ok_or(Unreadable::Malformed)?;
            let stop = rest.iter().position(|byte| matches!(byte, b'"' | b'\\'));
            self.at += stop.ok_or(Unreadable::Malformed)? + 1;
            if bytes.get(self.at - 1) == Some(&b'"') {
                return Ok(start..self.at);
            }
            // What is escaped is never looked at.
            self.at += 1;
        }
    }

    /// Goes over a value of any depth; where it stands.
    fn value(&mut self) -> Result<Range<usize>, Unreadable> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.peek().ok_or(Unreadable::Malformed)? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1).ok_or(Unreadable::Malformed)?;
                    self.at += 1;
                }
                b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    self.word()?;
                }
            }
            if depth == 0 {
                return Ok(start..self.at);
            }
        }
    }

    /// Goes over a number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<&'t str, Unreadable> {
        let start = self.at;
        let is_end = |byte: u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
        while self.peek().is_some_and(|byte| !is_end(byte)) {
            self.at += 1;
        }
        match self.slice(start..self.at)? {
            "" => Err(Unreadable::Malformed),
            word => Ok(word),
        }
    }

    fn canonical(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), Unreadable> {
        if depth > MOST_DEEP {
            return Err(Unreadable::TooDeep);
        }
        self.space();
        match self.peek().ok_or(Unreadable::Malformed)? {
            b'{' => self.canonical_object(out, depth),
            b'[' => self.canonical_array(out, depth),
            b'"' => {
                let written = self.string()?;
                canonical_string(self.slice(written)?, out)
            }
            _ => {
                out.extend_from_slice(self.word()?.as_bytes());
                Ok(())
            }
        }
    }

    fn canonical_object(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), Unreadable> {
        out.push(b'{');
        let start = out.len();
        // Of each member: where it begins, where its key ends, where it ends.
        let mut members: Vec<[usize; 3]> = Vec::new();
        self.members(|scan, key| {
            let begin = out.len();
            canonical_string(scan.slice(key)?, out)?;
            let key_end = out.len();
            out.push(b':');
            scan.canonical(out, depth + 1)?;
            out.push(b',');
            members.push([begin, key_end, out.len()]);
            Ok(())
        })?;
        if !members.is_sorted_by_key(|[begin, key_end, _]| out.get(*begin..*key_end)) {
            let unsorted = out.split_off(start);
            let part = |from: usize, to: usize| unsorted.get(from - start..to - start);
            // Stable: of a key that is there twice, both stay, in their order.
            members.sort_by_key(|[begin, key_end, _]| part(*begin, *key_end));
            for [begin, _, end] in members {
                out.extend_from_slice(part(begin, end).unwrap_or_default());
            }
        }
        out.push(b'}');
        Ok(())
    }

    fn canonical_array(&mut self, out: &mut Vec<u8>, depth: usize) -> Result<(), Unreadable> {
        self.expect(b'[')?;
        out.push(b'[');
        self.space();
        if !self.take(b']') {
            loop {
                self.canonical(out, depth + 1)?;
                out.push(b',');
                self.space();
                if self.take(b']') {
                    break;
                }
                self.expect(b',')?;
            }
        }
        out.push(b']');
        Ok(())
    }
}

/// A string between quotes, with only quotes and backslashes escaped.
fn canonical_string(written: &str, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let content = unescaped(written)?;
    out.push(b'"');
    match content {
        // Nothing was escaped, so that there is nothing to escape.
        Cow::Borrowed(bytes) => out.extend_from_slice(bytes),
        Cow::Owned(bytes) => {
            for byte in bytes {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
        }
    }
    out.push(b'"');
    Ok(())
}

fn unescape(inner: &str, out: &mut Vec<u8>) -> Result<(), Unreadable> {
    let mut rest = inner;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain.as_bytes());
        let kind = escape.as_bytes().get(1).ok_or(Unreadable::Malformed)?;
        let mut length = 2;
        match kind {
            b'"' | b'\\' | b'/' => out.push(*kind),
            b'b' => out.push(0x08),
            b'f' => out.push(0x0c),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => length = unicode(escape, out)?,
            _ => return Err(Unreadable::Malformed),
        }
        rest = escape.get(length..).ok_or(Unreadable::Malformed)?;
    }
    out.extend_from_slice(rest.as_bytes());
    Ok(())
}

/// Appends what `\uXXXX`, or two of them that are halves of one character,
/// stands for; how many bytes of `escape` that was.
fn unicode(escape: &str, out: &mut Vec<u8>) -> Result<usize, Unreadable> {
    let unit = code_unit(escape).ok_or(Unreadable::Malformed)?;
    let low = escape
        .get(6..)
        .and_then(code_unit)
        .filter(|low| (0xdc00..0xe000).contains(low));
    if let (0xd800..0xdc00, Some(low)) = (unit, low) {
        let both = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        let character = char::from_u32(both).ok_or(Unreadable::Malformed)?;
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        return Ok(12);
    }
    match char::from_u32(unit) {
        Some(character) => {
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        None => {
            let [_, _, high, low] = unit.to_be_bytes();
            out.push(0xe0 | (high >> 4));
            out.push(0x80 | ((high & 0x0f) << 2) | (low >> 6));
            out.push(0x80 | (low & 0x3f));
        }
    }
    Ok(6)
}

fn code_unit(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> String {
        let mut out = Vec::new();
        canonical(text, &mut out).unwrap();
        String::from_utf8_lossy(&out).into_owned()
    }

    #[test]
    fn spellings_of_one_value_have_one_form() {
        for (one, other) in [
            (
                r#"{"a":1,"b":[true,null]}"#,
                "{ \"b\" : [ true ,\n null ] , \"a\" : 1 }",
            ),
            (r#"{"x":{"z":1,"y":2}}"#, r#"{"x":{"y":2,"z":1}}"#),
            (r#""A\/é""#, r#""\u0041/\u00e9""#),
            (r#""😀""#, r#""\ud83d\ude00""#),
            (r#"["\"\\"]"#, r#"["\u0022\u005c"]"#),
            (r#"{"\u0061":0}"#, r#"{"a":0}"#),
        ] {
            assert_eq!(form(one), form(other));
        }
    }

    #[test]
    fn different_values_have_different_forms() {
        let values = [
            "1",
            "1.0",
            "1e0",
            "\"1\"",
            "null",
            "\"null\"",
            "[]",
            "{}",
            "[1]",
            "[[1]]",
            "\"\"",
            r#"["a","b"]"#,
            r#"["a,b"]"#,
            r#"["a\",\"b"]"#,
            r#"{"a":"b"}"#,
            r#"{"a\":\"b":1}"#,
            r#"{"a":1,"a":2}"#,
            r#"{"a":2,"a":1}"#,
            r#""\u0000""#,
            r#""\ud800""#,
            r#""\udc00""#,
            "123456789012345678901234567890",
            "123456789012345678901234567891",
        ];
        let forms: std::collections::BTreeSet<_> = values
            .iter()
            .map(|v| {
                let mut out = Vec::new();
                canonical(v, &mut out).unwrap();
                out
            })
            .collect();
        assert_eq!(forms.len(), values.len());
    }

    #[test]
    fn members_are_found_as_they_are_written() {
        let text = "{ \"id\" : 7 , \"a\\u0062\": {\"x\":[\"}\\\"\"]} }";
        let found = members(text).unwrap().unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!((&*found[0].key, found[0].value), (&b"id"[..], "7"));
        assert_eq!(&*found[1].key, b"ab");
        assert_eq!(found[1].value, "{\"x\":[\"}\\\"\"]}");
        assert_eq!(&text[found[0].span.clone()], "\"id\" : 7");
        assert_eq!(members("[1]").unwrap(), None);
        assert_eq!(members(" {} ").unwrap(), Some(Vec::new()));
    }

    #[test]
    fn depth_is_bounded_and_nothing_overflows() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        let mut out = Vec::new();
        assert_eq!(canonical(&deep(MOST_DEEP), &mut out), Ok(()));
        assert_eq!(
            canonical(&deep(1_000_000), &mut out),
            Err(Unreadable::TooDeep)
        );
        let object = format!("{{\"id\":1,\"x\":{}}}", deep(1_000_000));
        assert_eq!(members(&object).unwrap().unwrap().len(), 2);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\PC\\[\\]{}:,\"\\\\u0-9 ]{0,60}") {
            let _ = members(&text);
            let _ = canonical(&text, &mut Vec::new());
        }
    }
}
