//! The request of a login, in every form that templates ask for.

use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use linkspan_providers::interpolate::Scope;
use linkspan_providers::{BodyFormat, Entries, Headers, Param, Params, Template};
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded::Serializer;

use super::xml;
use crate::Error;
use crate::oauth2::begin::plain;
use crate::scope::unless_unset;

/// What a request is made of, its placeholders replaced.
pub(crate) struct Parts {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) params: Content,
    pub(crate) format: BodyFormat,
}

/// The parameters of a request.
pub(crate) enum Content {
    /// By name.
    Map(Map<String, Value>),
    /// A document, whose elements are in the template's order.
    Document(Vec<(String, Param)>),
}

impl Parts {
    /// Builds the request. Without a body (GET), parameters go in the query.
    pub(crate) fn build<S: Scope + ?Sized>(self, scope: &S) -> Result<Request<Vec<u8>>, Error> {
        let Self {
            method,
            mut url,
            mut headers,
            params,
            format,
        } = self;
        let (content_type, body) = match (params, format) {
            (Content::Document(entries), _) => {
                (Some("application/xml"), xml::document(&entries, scope)?)
            }
            (Content::Map(params), BodyFormat::Query) => {
                extend(&mut url, params);
                (None, String::new())
            }
            (Content::Map(params), _) if method == Method::GET || method == Method::HEAD => {
                extend(&mut url, params);
                (None, String::new())
            }
            // What has nothing to say says so in JSON only if it has to.
            (Content::Map(params), BodyFormat::Json)
                if params.is_empty() && !headers.contains_key(CONTENT_TYPE) =>
            {
                (None, String::new())
            }
            (Content::Map(params), BodyFormat::Json) => {
                (Some("application/json"), Value::Object(params).to_string())
            }
            (Content::Map(params), _) => (Some("application/x-www-form-urlencoded"), form(params)),
        };
        let defaults = [
            (CONTENT_TYPE, content_type),
            (
                ACCEPT,
                (format != BodyFormat::Xml).then_some("application/json"),
            ),
        ];
        for (name, value) in defaults {
            if let Some(value) = value {
                headers
                    .entry(name)
                    .or_insert(HeaderValue::from_static(value));
            }
        }
        let mut request = Request::new(body.into_bytes());
        *request.method_mut() = method;
        *request.uri_mut() =
            Uri::try_from(url.as_str()).map_err(|error| Error::Path(error.to_string()))?;
        *request.headers_mut() = headers;
        Ok(request)
    }
}

fn extend(url: &mut Url, params: Map<String, Value>) {
    if !params.is_empty() {
        let pairs = params.into_iter().map(|(name, value)| (name, plain(value)));
        url.query_pairs_mut().extend_pairs(pairs);
    }
}

fn form(params: Map<String, Value>) -> String {
    let mut form = Serializer::new(String::new());
    for (name, value) in params {
        form.append_pair(&name, &plain(value));
    }
    form.finish()
}

/// The template's headers whose placeholders all have values.
///
/// # Errors
/// [`Error::Header`], [`Error::Unsupported`].
pub(crate) fn headers<S: Scope + ?Sized>(
    template: &Template,
    headers: &Headers,
    scope: &S,
) -> Result<HeaderMap, Error> {
    let mut evaluated = HeaderMap::new();
    for (name, text) in headers.iter() {
        if let Some(text) = unless_unset(template, text.evaluate(scope))? {
            evaluated.insert(name, value(name, &text)?);
        }
    }
    Ok(evaluated)
}

/// A header's value, which no log shows.
pub(crate) fn value(name: &HeaderName, text: &str) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(text).map_err(|_| Error::Header(name.to_string()))?;
    value.set_sensitive(true);
    Ok(value)
}

/// The parameters whose placeholders all have values, at any depth: an optional
/// field that was not entered is left out alone.
///
/// # Errors
/// [`Error::Unsupported`] for a function that nothing computes.
pub(crate) fn params<S: Scope + ?Sized>(
    template: &Template,
    params: &Params,
    scope: &S,
) -> Result<Map<String, Value>, Error> {
    let entries = params.iter();
    object(template, entries, scope)
}

fn object<'a, S: Scope + ?Sized>(
    template: &Template,
    entries: impl Iterator<Item = (&'a String, &'a Param)>,
    scope: &S,
) -> Result<Map<String, Value>, Error> {
    let mut object = Map::new();
    for (name, param) in entries {
        if let Some(value) = pruned(template, param, scope)? {
            object.insert(name.clone(), value);
        }
    }
    Ok(object)
}

fn pruned<S: Scope + ?Sized>(
    template: &Template,
    param: &Param,
    scope: &S,
) -> Result<Option<Value>, Error> {
    Ok(match param {
        Param::Map(Entries(entries)) => {
            let entries = entries.iter().map(|(name, param)| (name, param));
            Some(Value::Object(object(template, entries, scope)?))
        }
        Param::List(items) => {
            let mut list = Vec::new();
            for item in items {
                list.extend(pruned(template, item, scope)?);
            }
            Some(Value::Array(list))
        }
        Param::Text(_) | Param::Scalar(_) => unless_unset(template, param.evaluate(scope))?,
    })
}
