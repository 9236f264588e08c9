//! What placeholders and signatures may know of a request that is being made.

use std::borrow::Cow;
use std::cell::OnceCell;

use chrono::{DateTime, Utc};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Method};
use linkspan_providers::Config;
use linkspan_providers::interpolate::{CallError, Function, Path, Root, Scope, Text};
use url::{Url, form_urlencoded};

use super::Prepare;
use crate::scope::{RequestScope, failed};
use crate::sign::aws_sigv4::{Payload, Signer};
use crate::{Client, Credentials, Error, sign};

/// The body of a request, for those who sign it.
#[derive(Debug, Clone, Copy)]
pub enum BodyForSigning<'a> {
    /// There is none.
    Absent,
    /// All of it.
    Whole(&'a [u8]),
    /// It is sent as it comes, and nobody has seen it.
    Streamed,
}

impl<'a> BodyForSigning<'a> {
    /// Its bytes, where they are known.
    #[must_use]
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Self::Absent => Some(b""),
            Self::Whole(bytes) => Some(bytes),
            Self::Streamed => None,
        }
    }
}

/// The request that a template's headers may name.
#[derive(Clone, Copy)]
pub(crate) struct Outgoing<'a> {
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Url,
    pub(crate) body: BodyForSigning<'a>,
    /// Those that are known by now; all of them for what signs headers.
    pub(crate) headers: &'a HeaderMap,
}

impl Outgoing<'_> {
    /// The value of a name. What depends on a body that nobody has seen has none.
    pub(crate) fn value(&self, name: &str) -> Option<Cow<'_, str>> {
        let url = self.url;
        match name {
            "method" => Some(Cow::Borrowed(self.method.as_str())),
            "host" => Some(match url.port() {
                Some(port) => Cow::Owned(format!("{}:{port}", url.host_str()?)),
                None => Cow::Borrowed(url.host_str()?),
            }),
            "path" => Some(Cow::Borrowed(url.path())),
            "endpoint" => Some(Cow::Borrowed(&url[url::Position::BeforePath..])),
            "params" => self.params().map(Cow::Owned),
            "bodyCanonicalParams" => std::str::from_utf8(self.body.bytes()?)
                .ok()
                .map(Cow::Borrowed),
            _ => None,
        }
    }

    /// The parameters of the query and of a form, escaped by RFC 3986, sorted by
    /// name.
    fn params(&self) -> Option<String> {
        let query = self.url.query().unwrap_or_default().as_bytes();
        let form = form(self.body, self.headers)?;
        let mut pairs: Vec<_> = form_urlencoded::parse(query)
            .chain(form_urlencoded::parse(form))
            .map(|(name, value)| (sign::escaped(&name), sign::escaped(&value)))
            .collect();
        pairs.sort_unstable();
        let pairs: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| [name, value].join("="))
            .collect();
        Some(pairs.join("&"))
    }
}

/// A request's scope once the request is known, for one text.
pub(super) struct OutgoingScope<'a> {
    scope: &'a RequestScope<'a>,
    outgoing: Outgoing<'a>,
    text: &'a Text,
    content_hash: OnceCell<HeaderValue>,
}

impl<'a> OutgoingScope<'a> {
    pub(super) fn new(scope: &'a RequestScope<'a>, outgoing: Outgoing<'a>, text: &'a Text) -> Self {
        Self {
            scope,
            outgoing,
            text,
            content_hash: OnceCell::new(),
        }
    }

    /// `x-amz-content-sha256`, where a signature was made that it goes with.
    pub(super) fn into_content_hash(self) -> Option<HeaderValue> {
        self.content_hash.into_inner()
    }

    fn aws(&self, arguments: &[String]) -> Result<String, CallError> {
        let [access_key, secret_key, region, service, ..] = arguments else {
            return Err(CallError::Unsupported);
        };
        // What is signed is the host that the request goes to, whichever host
        // the template names: no other signature would be valid.
        let signer = Signer {
            access_key,
            secret_key,
            session_token: None,
            region,
            service,
            now: self.scope.time(),
        };
        let Outgoing {
            method,
            url,
            headers,
            body,
        } = self.outgoing;
        let payload = match body.bytes() {
            Some(bytes) => Payload::Bytes(bytes),
            None => Payload::Unsigned,
        };
        let signed = signer
            .header(method, url, headers, payload)
            .map_err(failed)?;
        if let Some(hash) = signed.content_hash {
            // A second one would be the same.
            let _ = self.content_hash.set(hash);
        }
        let text = signed.authorization.to_str().map(str::to_owned);
        text.map_err(|_| CallError::Failed("it is no text".to_owned()))
    }
}

impl Scope for OutgoingScope<'_> {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        let of_request = match (path.root(), path.key()) {
            // What is signed is what is asked for, with the query (RFC 9421 section
            // 2.2.2), unless the text has that in a place of its own.
            (Root::Bare, "path") if !names(self.text, &["params"]) => {
                self.outgoing.value("endpoint")
            }
            (Root::Bare, name) => self.outgoing.value(name),
            _ => None,
        };
        of_request.or_else(|| self.scope.lookup(path))
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        self.scope.now()
    }

    fn call(&self, function: Function, arguments: &[String]) -> Result<String, CallError> {
        match function {
            Function::AwsSigV4 => self.aws(arguments),
            function => self.scope.call(function, arguments),
        }
    }
}

/// The body if its content type is a form's, and nothing of it otherwise; but
/// `None` if that cannot be said.
fn form<'a>(body: BodyForSigning<'a>, headers: &HeaderMap) -> Option<&'a [u8]> {
    if is_form(headers) {
        body.bytes()
    } else {
        Some(b"")
    }
}

/// Whether these headers describe a form, as a browser sends it.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    kind.and_then(|kind| kind.split(';').next())
        .is_some_and(|kind| {
            kind.trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        })
}

/// A request that is complete but for the signature of its auth mode: what
/// `Credentials::sign` gets.
pub struct ToSign<'a> {
    /// The template, and the connection's and integration's configuration.
    pub config: &'a Config<'a>,
    /// The integration's client.
    pub client: Option<&'a Client>,
    /// The method.
    pub method: &'a Method,
    /// Where it goes.
    pub url: &'a Url,
    /// What is sent.
    pub body: BodyForSigning<'a>,
    /// To which the signature is added.
    pub headers: &'a mut HeaderMap,
    pub(super) scope: &'a RequestScope<'a>,
}

impl<'a> ToSign<'a> {
    /// The time of the request.
    pub fn now(&self) -> DateTime<Utc> {
        self.scope.time()
    }

    /// A UUID of this request, for nonces.
    pub fn random(&self) -> &'a str {
        self.scope.random()
    }

    /// The parameters in the body, which are signed with those of the query (RFC
    /// 5849 section 3.4.1.3.1): empty unless it is a form.
    ///
    /// # Errors
    /// [`Error::Unusable`] for a form that nobody has seen.
    pub fn form(&self) -> Result<&'a [u8], Error> {
        form(self.body, self.headers).ok_or_else(streamed)
    }
}

/// Whether the body must be whole before the request can be made: because the
/// template may add to it, or because it is signed. Its length and bytes do not
/// matter, only what describes it.
///
/// # Errors
/// As [`super::body`].
pub fn needs_body(call: &Prepare<'_>) -> Result<bool, Error> {
    Ok(template_signs_body(call.config)
        || call.credentials.signs_body(call.config, call.body_headers)
        || super::may_add(call)?)
}

/// Names whose values are of one request.
const OF_REQUEST: &[&str] = &[
    "bodyCanonicalParams",
    "endpoint",
    "host",
    "method",
    "params",
    "path",
];

/// Whether the headers of a call hold for one address and method, since the mode
/// or the template signs them.
#[must_use]
pub fn is_signed(config: &Config<'_>, credentials: &Credentials) -> bool {
    credentials.signs_address()
        || any_header(config, |text| {
            text.uses().headers || names(text, OF_REQUEST)
        })
}

fn names(text: &Text, wanted: &[&str]) -> bool {
    let paths = text.paths();
    paths.iter().any(|path| wanted.contains(&path.as_str()))
}

fn template_signs_body(config: &Config<'_>) -> bool {
    any_header(config, |text| text.uses().body)
}

/// Refuses a body that a template signs and cannot.
pub(super) fn check(config: &Config<'_>, body: BodyForSigning<'_>) -> Result<(), Error> {
    if !template_signs_body(config) {
        return Ok(());
    }
    let bytes = body.bytes().ok_or_else(streamed)?;
    if std::str::from_utf8(bytes).is_err() && names_body(config) {
        let reason = "this API wants the body signed as text, and it is not UTF-8";
        return Err(Error::Unusable(reason.to_owned()));
    }
    Ok(())
}

fn names_body(config: &Config<'_>) -> bool {
    any_header(config, |text| names(text, &["bodyCanonicalParams"]))
}

fn any_header(config: &Config<'_>, is_one: impl Fn(&Text) -> bool) -> bool {
    let proxy = config.template.proxy.as_ref();
    proxy.is_some_and(|proxy| proxy.headers.iter().any(|(_, text)| is_one(text)))
}

fn streamed() -> Error {
    Error::Unusable("this API wants the body signed, which must then be sent whole".to_owned())
}
