//! XML requests and answers: elements as objects, so that templates name what
//! is in them by dotted paths.

use linkspan_providers::interpolate::Scope;
use linkspan_providers::{Entries, Param};
use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::{BytesStart, Event};
use serde_json::{Map, Value};

use crate::Error;

/// What the name of an attribute begins with, here and in templates.
const ATTRIBUTE: char = '$';

/// Deeper answers are refused.
const DEEPEST: usize = 64;

/// Writes a document: an entry is an element, or an attribute of the element
/// around it if its name begins with `$`. The order is the template's.
///
/// # Errors
/// [`Error::Url`] names a placeholder without a value: a document with a hole is
/// not sent. [`Error::Unusable`] for characters that XML does not have.
pub(crate) fn document<S: Scope + ?Sized>(
    entries: &[(String, Param)],
    scope: &S,
) -> Result<String, Error> {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    for (name, param) in entries {
        element(name, param, scope, &mut out)?;
    }
    Ok(out)
}

fn element<S: Scope + ?Sized>(
    name: &str,
    param: &Param,
    scope: &S,
    out: &mut String,
) -> Result<(), Error> {
    if let Param::List(items) = param {
        return items
            .iter()
            .try_for_each(|item| element(name, item, scope, out));
    }
    out.push('<');
    out.push_str(name);
    let Param::Map(Entries(entries)) = param else {
        out.push('>');
        out.push_str(&text(param, scope)?);
        return close(name, out);
    };
    let (attributes, elements): (Vec<_>, Vec<_>) = entries
        .iter()
        .partition(|(name, _)| name.starts_with(ATTRIBUTE));
    for (attribute, value) in attributes {
        let value = text(value, scope)?;
        out.push_str(&format!(" {}=\"{value}\"", &attribute[1..]));
    }
    out.push('>');
    for (name, param) in elements {
        element(name, param, scope, out)?;
    }
    close(name, out)
}

fn close(name: &str, out: &mut String) -> Result<(), Error> {
    out.push_str(&format!("</{name}>"));
    Ok(())
}

fn text<S: Scope + ?Sized>(param: &Param, scope: &S) -> Result<String, Error> {
    let text = match param.evaluate(scope)? {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    if !text.chars().all(is_char) {
        let message = "what was entered has control characters, which XML cannot carry";
        return Err(Error::Unusable(message.to_owned()));
    }
    Ok(escape(&text).into_owned())
}

/// XML 1.0, production 2.
pub(crate) const fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Reads a document: an object by the root's name. An element with others in it
/// or attributes (`$name`) is an object, with its own text under `_`; another is
/// its text; those of one name beside each other are a list. Nothing if it is not
/// well-formed. No entity of a document's own is expanded, and nothing is fetched.
pub(crate) fn parse(body: &[u8]) -> Option<Value> {
    let mut reader = Reader::from_str(std::str::from_utf8(body).ok()?);
    let mut open = vec![Element::default()];
    loop {
        match reader.read_event().ok()? {
            Event::Start(start) => open.push(Element::of(&start)?),
            Event::Empty(start) => {
                let empty = Element::of(&start)?;
                open.last_mut()?.take(empty);
            }
            Event::End(_) => {
                let closed = open.pop()?;
                open.last_mut()?.take(closed);
            }
            Event::Text(text) => open.last_mut()?.text.push_str(&text),
            Event::CData(text) => open.last_mut()?.text.push_str(&text),
            Event::GeneralRef(name) => {
                let known = match name.resolve_char_ref().ok()? {
                    Some(c) => c,
                    None => predefined(&name)?,
                };
                open.last_mut()?.text.push(known);
            }
            Event::Eof => break,
            Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::Comment(_) => {}
        }
        if open.len() > DEEPEST {
            return None;
        }
    }
    match open.pop() {
        Some(root) if open.is_empty() && !root.children.is_empty() => {
            Some(Value::Object(root.children))
        }
        _ => None,
    }
}

/// XML 1.0, section 4.6.
fn predefined(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        _ => return None,
    })
}

#[derive(Default)]
struct Element {
    name: String,
    children: Map<String, Value>,
    text: String,
}

impl Element {
    fn of(start: &BytesStart<'_>) -> Option<Self> {
        let mut children = Map::new();
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let name = attribute.key.local_name();
            let value = unescape(&attribute.value).ok()?.into_owned();
            children.insert(format!("{ATTRIBUTE}{}", name.as_ref()), value.into());
        }
        Some(Self {
            name: start.local_name().as_ref().to_owned(),
            children,
            text: String::new(),
        })
    }

    fn take(&mut self, closed: Self) {
        let text = closed.text.trim();
        let value = if closed.children.is_empty() {
            text.into()
        } else {
            let mut children = closed.children;
            if !text.is_empty() {
                children.insert("_".to_owned(), text.into());
            }
            Value::Object(children)
        };
        match self.children.get_mut(&closed.name) {
            None => drop(self.children.insert(closed.name, value)),
            Some(Value::Array(list)) => list.push(value),
            Some(one) => *one = Value::Array(vec![one.take(), value]),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    struct Nothing;

    impl Scope for Nothing {
        fn lookup(
            &self,
            path: &linkspan_providers::interpolate::Path,
        ) -> Option<std::borrow::Cow<'_, str>> {
            (path.key() == "name").then_some("a<&>\"b".into())
        }
    }

    fn entries(yaml: &str) -> Vec<(String, Param)> {
        let yaml =
            format!("display_name: T\ncategories: [other]\nauth_mode: NONE\ntoken_params:\n{yaml}");
        let template = linkspan_providers::Template::parse("t", &yaml).unwrap();
        template.token_params.into_iter().collect()
    }

    #[test]
    fn a_document_keeps_its_order_and_escapes() {
        let written = document(
            &entries(
                "  r:\n    z: '${credentials.name}'\n    a:\n      $id: '${credentials.name}'\n      e: ''\n      l: [1, true]\n",
            ),
            &Nothing,
        );
        let expected = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<r><z>a&lt;&amp;&gt;&quot;b</z>\
                        <a id=\"a&lt;&amp;&gt;&quot;b\"><e></e><l>1</l><l>true</l></a></r>";
        assert_eq!(written.unwrap(), expected);
        let hole = document(&entries("  r: { a: '${credentials.other}' }\n"), &Nothing);
        assert!(hole.is_err());
    }

    #[test]
    fn answers_become_objects() {
        let answer = b"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>
            <s:r xmlns:s='u' id='1'><a>x &amp;&#65; <![CDATA[<y>]]></a><b/><b>2</b><c k='v'>t</c></s:r>";
        let expected = json!({ "r": {
            "$s": "u", "$id": "1", "a": "x &A <y>", "b": ["", "2"], "c": { "$k": "v", "_": "t" },
        } });
        assert_eq!(parse(answer), Some(expected));
        for wrong in [
            "<a><b></a>",
            "",
            "text",
            "<a>",
            "<a>&x;</a>",
            "{\"a\":1}",
            "<!DOCTYPE r [<!ENTITY x 'y'>]><r>&x;</r>",
            &"<a>".repeat(100),
        ] {
            assert_eq!(parse(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
