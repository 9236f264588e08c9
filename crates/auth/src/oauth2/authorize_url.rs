//! The authorize URL in the form that a provider wants it in.

use std::borrow::Cow;
use std::fmt::Write as _;

use linkspan_providers::Template;
use url::Url;
use url::form_urlencoded::byte_serialize;

use crate::quirks::Quirk;

/// What `authorization_url_skip_encode` calls the parameter `scope`.
const SCOPES: &str = "scopes";

/// Parameters in the order in which they were first set.
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    pub(super) fn new(response_type: &str) -> Self {
        Self(vec![("response_type".to_owned(), response_type.to_owned())])
    }

    pub(super) fn extend<'a>(&mut self, pairs: impl Iterator<Item = (Cow<'a, str>, Cow<'a, str>)>) {
        for (name, value) in pairs {
            self.set(&name, value.into_owned());
        }
    }

    /// Sets a parameter, in place of an earlier value.
    pub(super) fn set(&mut self, name: &str, value: String) {
        match self.0.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = value,
            None => self.0.push((name.to_owned(), value)),
        }
    }

    /// `url` with these parameters, as the template and the quirk want them.
    pub(super) fn into_url(
        mut self,
        template: &Template,
        quirk: Option<&Quirk>,
        mut url: Url,
    ) -> Url {
        if let Some(quirk) = quirk {
            (quirk.authorize)(&mut self.0);
        }
        if template.authorization_url_skip_empty {
            self.0.retain(|(_, value)| !value.is_empty());
        }
        let query = self.encoded(template);
        match &template.authorization_url_fragment {
            None => url.set_query(Some(&query)),
            // For pages that route by what stands after the `#`.
            Some(fragment) => {
                url.set_query(None);
                url.set_fragment(Some(&format!("{fragment}?{query}")));
            }
        }
        url
    }

    fn encoded(&self, template: &Template) -> String {
        let skipped = &template.authorization_url_skip_encode;
        let is_scope_plain = skipped.iter().any(|part| part == SCOPES);
        let mut query = String::new();
        for (name, value) in &self.0 {
            let Some(renamed) = rename(template, name) else {
                continue;
            };
            let encode = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let value = match name.as_str() {
                "scope" if is_scope_plain => lightly_encoded(value),
                _ => encode(value),
            };
            let and = if query.is_empty() { "" } else { "&" };
            // Writing to a String cannot fail.
            let _ = write!(query, "{and}{}={value}", encode(renamed));
        }
        query
    }
}

/// A parameter's name at this provider; nothing if it must not be sent.
/// Templates write `client_id` and `client_id=` alike.
fn rename<'a>(template: &'a Template, name: &'a str) -> Option<&'a str> {
    let replacements = &template.authorization_url_replacements;
    let found = replacements
        .iter()
        .find(|(from, _)| from.trim_end_matches('=') == name);
    let new = found.map_or(name, |(_, to)| to.trim_end_matches('='));
    (!new.is_empty()).then_some(new)
}

/// Encodes only what would end the value or the query (RFC 3986 section 3.4).
fn lightly_encoded(value: &str) -> String {
    let is_plain =
        |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '#' | '%' | '&' | '+' | '<' | '>');
    value
        .chars()
        .map(|c| match c {
            c if is_plain(c) => c.to_string(),
            ' ' => "%20".to_owned(),
            c => byte_serialize(c.to_string().as_bytes()).collect(),
        })
        .collect()
}
