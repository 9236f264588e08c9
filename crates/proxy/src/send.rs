//! One try: the request is prepared with the connection's credentials, and sent.

use std::borrow::Cow;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, RANGE, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri};
use linkspan_auth::Client;
use linkspan_auth::request::{self, BodyForSigning};
use linkspan_net as net;
use linkspan_providers::Config;
use linkspan_shared::connections::Live;
use linkspan_shared::logs::Level;
use url::Url;

use crate::call::{Call, Settings};
use crate::error::Error;
use crate::record::Record;

/// Redirects followed by one try.
const MOST_REDIRECTS: usize = 5;

/// What is sent, apart from the body.
pub(crate) struct Target {
    url: Url,
    uri: Uri,
    headers: HeaderMap,
}

/// A body as it is sent, and what describes it.
pub(crate) struct Described<'a> {
    pub(crate) body: BodyForSigning<'a>,
    pub(crate) headers: Cow<'a, HeaderMap>,
}

impl<'a> Described<'a> {
    /// The caller's own body.
    pub(crate) fn own(call: &'a Call<'_>, body: BodyForSigning<'a>) -> Self {
        let headers = match body {
            BodyForSigning::Whole(b"") | BodyForSigning::Absent => Cow::Owned(HeaderMap::new()),
            _ => Cow::Borrowed(&call.instructions.body_headers),
        };
        Self { body, headers }
    }

    /// One that the template has added to: it is JSON, unless the caller has
    /// another word for it.
    pub(crate) fn json(self, body: &'a [u8]) -> Self {
        let mut headers = self.headers.into_owned();
        let json = HeaderValue::from_static("application/json");
        headers.entry(CONTENT_TYPE).or_insert(json);
        Self {
            body: BodyForSigning::Whole(body),
            headers: Cow::Owned(headers),
        }
    }
}

/// Lets `make` see what the caller, the template and the connection say.
fn prepared<T>(
    call: &Call<'_>,
    live: &Live,
    described: &Described<'_>,
    make: impl FnOnce(&request::Prepare<'_>) -> Result<T, linkspan_auth::Error>,
) -> Result<T, linkspan_auth::Error> {
    let config = Config {
        template: &live.template,
        connection: &live.connection.connection_config,
        integration: &live.integration.config,
    };
    let client = client(live);
    make(&request::Prepare {
        config: &config,
        client: client.as_ref(),
        credentials: &live.connection.credentials,
        base_url_override: call.instructions.options.base_url_override.as_ref(),
        path_and_query: call.path_and_query,
        method: &call.method,
        headers: &call.instructions.headers,
        body: described.body,
        body_headers: &described.headers,
    })
}

/// Whether the body must be whole before the call can be made.
pub(crate) fn needs_body(call: &Call<'_>, live: &Live) -> Result<bool, Error> {
    let described = Described::own(call, BodyForSigning::Streamed);
    Ok(prepared(call, live, &described, request::needs_body)?)
}

/// The caller's body with what the template adds to it; nothing if it stays as
/// it is.
pub(crate) fn merged(call: &Call<'_>, live: &Live, body: &[u8]) -> Result<Option<Bytes>, Error> {
    let own = Described::own(call, BodyForSigning::Whole(body));
    let merged = prepared(call, live, &own, |prepare| request::body(prepare, body))?;
    Ok(merged.map(Bytes::from))
}

/// Makes the request of what the caller, the template and the connection say.
pub(crate) fn target(
    call: &Call<'_>,
    live: &Live,
    described: &Described<'_>,
) -> Result<Target, Error> {
    let prepared = prepared(call, live, described, request::prepare)?;
    let uri = Uri::try_from(prepared.url.as_str()).map_err(|_| net::Error::InvalidUrl {
        reason: "it cannot be written as a request target",
    })?;
    Ok(Target {
        url: prepared.url,
        uri,
        headers: asking_for_plain(call, live, prepared.headers),
    })
}

fn asking_for_plain(call: &Call<'_>, live: &Live, mut headers: HeaderMap) -> HeaderMap {
    if wants_plain(call, live) {
        let identity = HeaderValue::from_static("identity");
        headers.entry(ACCEPT_ENCODING).or_insert(identity);
    }
    headers
}

/// What a call's headers are where a redirect leads: a signature is made anew.
fn resigned(call: &Call<'_>, live: &Live, onward: &net::Onward<'_>) -> net::Resigned {
    let mut own = call.instructions.headers.clone();
    let described = match onward.body {
        Some(body) => Described::own(call, BodyForSigning::Whole(body)),
        None => {
            for name in call.instructions.headers.keys() {
                if name.as_str().starts_with("content-") {
                    own.remove(name);
                }
            }
            Described::own(call, BodyForSigning::Absent)
        }
    };
    let headers = prepared(call, live, &described, |prepare| {
        if !request::is_signed(prepare.config, prepare.credentials) {
            return Ok(None);
        }
        let method = onward.method;
        let prepare = request::Prepare {
            method,
            headers: &own,
            ..*prepare
        };
        request::prepare_for(&prepare, onward.url).map(Some)
    });
    match headers {
        Ok(None) => net::Resigned::Same,
        Ok(Some(headers)) => net::Resigned::Anew(asking_for_plain(call, live, headers)),
        Err(_) => net::Resigned::Impossible,
    }
}

/// Whether the answer is to arrive uncompressed, for the caller or the template.
pub(crate) fn wants_plain(call: &Call<'_>, live: &Live) -> bool {
    let by_template = || {
        let proxy = live.template.proxy.as_ref();
        proxy.is_some_and(|proxy| proxy.decompress)
    };
    call.instructions.options.decompress || by_template()
}

/// The OAuth client, for the modes that sign by it and the templates whose
/// headers or query send its id.
fn client(live: &Live) -> Option<Client> {
    let proxy = live.template.proxy.as_ref()?;
    let names_it = !(proxy.headers.is_empty() && proxy.query.is_empty() && proxy.body.is_empty());
    if !names_it && !linkspan_auth::signs_with_client(live.template.auth_mode) {
        return None;
    }
    Some(Client {
        client_id: live.integration.client_id.clone()?,
        client_secret: live.integration.secrets.client_secret.clone(),
        ..Client::default()
    })
}

impl Target {
    fn request<B>(&self, call: &Call<'_>, headers: HeaderMap, body: B) -> Request<B> {
        let mut request = Request::new(body);
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// A whole body.
pub(crate) struct Sendable {
    pub(crate) bytes: Bytes,
    /// Whether the template has added to it.
    pub(crate) is_merged: bool,
}

/// Sends a request whose body is held, and follows redirects.
pub(crate) async fn held(
    client: &net::Client,
    settings: &Settings,
    call: &Call<'_>,
    live: &Live,
    mut target: Target,
    body: Sendable,
    record: &mut Record,
) -> Result<Response<net::Incoming>, net::Error> {
    let headers = std::mem::take(&mut target.headers);
    let Sendable {
        bytes: body,
        is_merged,
    } = body;
    let sent = if is_merged {
        // The body may hold the credentials: where it goes is the caller's to see.
        let request = target.request(call, headers, net::Body::full(body));
        client.send(request, settings.deadlines()).await
    } else {
        let redirects = redirects(call, live, &headers);
        let request = target.request(call, headers, body);
        let resign = |onward: &net::Onward<'_>| resigned(call, live, onward);
        client
            .send_signed(request, &redirects, &resign, settings.deadlines())
            .await
    };
    note(record, call, &target.url, &sent);
    sent
}

/// Sends a request whose body streams, once. A redirect is the caller's: the
/// body is gone.
pub(crate) async fn streamed(
    client: &net::Client,
    settings: &Settings,
    call: &Call<'_>,
    mut target: Target,
    (body, length): (net::Body, Option<u64>),
    record: &mut Record,
) -> Result<Response<net::Incoming>, net::Error> {
    let mut headers = std::mem::take(&mut target.headers);
    if let Some(length) = length {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    let request = target.request(call, headers, body);
    let sent = client.send(request, settings.deadlines()).await;
    note(record, call, &target.url, &sent);
    sent
}

fn redirects(call: &Call<'_>, live: &Live, headers: &HeaderMap) -> net::Redirects {
    let by_template = || {
        live.template
            .proxy
            .as_ref()
            .is_some_and(|proxy| proxy.forward_headers_on_redirect)
    };
    net::Redirects {
        max: MOST_REDIRECTS,
        forward_credentials: call.instructions.options.forward_headers_on_redirect || by_template(),
        sensitive_headers: headers
            .iter()
            .filter(|(name, value)| value.is_sensitive() || !is_harmless(name))
            .map(|(name, _)| name.clone())
            .collect(),
    }
}

/// Whether a header can be told to anybody. APIs take keys in headers of every
/// name, so that only what is known can be sent to another host.
fn is_harmless(name: &HeaderName) -> bool {
    let text = name.as_str();
    *name == USER_AGENT
        || *name == RANGE
        || *name == CONTENT_TYPE
        || ["accept", "content-", "if-", "cache-"]
            .iter()
            .any(|start| text.starts_with(start))
}

fn note(
    record: &mut Record,
    call: &Call<'_>,
    url: &Url,
    sent: &Result<Response<net::Incoming>, net::Error>,
) {
    let url = net::redact::url(url);
    let method = &call.method;
    match sent {
        Ok(answer) => {
            let status = answer.status();
            record.status(status);
            let mut text = format!("{method} {url} answered {}", status.as_u16());
            if let Some(followed) = answer.extensions().get::<net::Followed>() {
                text.push_str(", redirected to ");
                text.push_str(&net::redact::url(&followed.url));
            }
            record.say(Level::Info, text);
        }
        Err(error) => record.say(Level::Warn, format!("{method} {url}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_headers_are_taken_for_credentials() {
        for name in [
            "accept",
            "accept-language",
            "content-type",
            "if-none-match",
            "user-agent",
        ] {
            assert!(is_harmless(&HeaderName::from_static(name)), "{name}");
        }
        for name in [
            "authorization",
            "x-api-key",
            "x-anything",
            "cookie",
            "apikey",
        ] {
            assert!(!is_harmless(&HeaderName::from_static(name)), "{name}");
        }
    }
}
