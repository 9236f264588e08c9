//! AWS Signature Version 4, in headers (AWS General Reference, “Create a signed
//! AWS API request”).

use std::fmt::Write as _;

use chrono::{DateTime, Utc};
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use percent_encoding::percent_decode_str;
use ring::digest::{SHA256, digest};
use ring::hmac;
use url::{Url, form_urlencoded};

use super::{Error, escape, hex};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Headers with these names are signed.
const PREFIX: &str = "x-amz-";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
pub(crate) const CONTENT_HASH: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Who signs, for what, and when.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// The access key's id.
    pub access_key: &'a str,
    /// Its secret.
    pub secret_key: &'a str,
    /// Of temporary credentials.
    pub session_token: Option<&'a str>,
    /// For example `eu-west-1`.
    pub region: &'a str,
    /// For example `s3`, whose paths are not escaped twice.
    pub service: &'a str,
    /// The time of the request; AWS takes it for five minutes.
    pub now: DateTime<Utc>,
}

/// The body, for its hash.
#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    /// All of it; empty if there is none.
    Bytes(&'a [u8]),
    /// Not known when the request is signed. Only S3 takes that, over TLS.
    Unsigned,
}

impl Payload<'_> {
    fn hash(self) -> String {
        match self {
            Self::Bytes(bytes) => hex(digest(&SHA256, bytes).as_ref()),
            Self::Unsigned => "UNSIGNED-PAYLOAD".to_owned(),
        }
    }
}

/// A request as it is sent, and the headers of it that are signed.
struct Request<'a> {
    method: &'a str,
    /// As on the request line, without the query.
    path: &'a str,
    query: &'a str,
    /// Names in lower case.
    headers: Vec<(&'a str, &'a str)>,
    payload_hash: &'a str,
}

impl Signer<'_> {
    /// Signs a request that is complete but for what is added here: `x-amz-date`,
    /// `x-amz-security-token` for temporary credentials, `x-amz-content-sha256`
    /// for S3 and for an unsigned payload, and `authorization`. Signed are these,
    /// the host, the content type and all other `x-amz-` headers.
    ///
    /// # Errors
    /// [`Error::Header`] for a key, region or token that no header can carry.
    pub fn sign(
        &self,
        method: &Method,
        url: &Url,
        headers: &mut HeaderMap,
        payload: Payload<'_>,
    ) -> Result<(), Error> {
        let text = |text: &str, what| HeaderValue::from_str(text).map_err(|_| Error::Header(what));
        let payload_hash = payload.hash();
        headers.insert(DATE, text(&self.time(), "the time")?);
        headers.remove(TOKEN);
        if let Some(token) = self.session_token {
            let mut token = text(token, "the session token")?;
            token.set_sensitive(true);
            headers.insert(TOKEN, token);
        }
        if self.is_s3() || matches!(payload, Payload::Unsigned) {
            headers.insert(CONTENT_HASH, text(&payload_hash, "the body's hash")?);
        }
        let value = self.authorization(method, url, headers, &payload_hash)?;
        let mut value = text(&value, "the access key, region or service")?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
        Ok(())
    }

    /// The value of `Authorization` over the headers that there are.
    fn authorization(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        payload_hash: &str,
    ) -> Result<String, Error> {
        let host = host(url);
        let mut signed = vec![("host", host.as_str())];
        for (name, value) in headers {
            if *name == CONTENT_TYPE || name.as_str().starts_with(PREFIX) {
                let value = value
                    .to_str()
                    .map_err(|_| Error::Header("a header that is to be signed"))?;
                signed.push((name.as_str(), value));
            }
        }
        Ok(self.authorization_of(Request {
            method: method.as_str(),
            path: url.path(),
            query: url.query().unwrap_or_default(),
            headers: signed,
            payload_hash,
        }))
    }

    /// The value of `Authorization`, and nothing else, for a template that sends
    /// `x-amz-date` itself, with the time of `now`.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn header(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        payload: Payload<'_>,
    ) -> Result<Signed, Error> {
        let is_signed =
            |name: &HeaderName| *name == CONTENT_TYPE || name.as_str().starts_with(PREFIX);
        let mut own: HeaderMap = headers
            .iter()
            .filter(|(name, _)| is_signed(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        self.sign(method, url, &mut own, payload)?;
        let authorization = own
            .remove(AUTHORIZATION)
            .ok_or(Error::Header("the signature"))?;
        Ok(Signed {
            authorization,
            content_hash: own.remove(CONTENT_HASH),
        })
    }

    fn is_s3(&self) -> bool {
        matches!(
            self.service,
            "s3" | "s3-object-lambda" | "s3-outposts" | "s3express"
        )
    }

    fn time(&self) -> String {
        self.now.format("%Y%m%dT%H%M%SZ").to_string()
    }

    fn authorization_of(&self, request: Request<'_>) -> String {
        let (canonical, names) = canonical(request, self.is_s3());
        let time = self.time();
        let day = &time[..8];
        let scope = format!("{day}/{}/{}/aws4_request", self.region, self.service);
        let hash = hex(digest(&SHA256, canonical.as_bytes()).as_ref());
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{hash}");
        let signature = hex(mac(&self.key(day), text.as_bytes()).as_ref());
        let key = self.access_key;
        format!(
            "{ALGORITHM} Credential={key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
    }

    /// The key of the day, region and service.
    fn key(&self, day: &str) -> Vec<u8> {
        let secret = ["AWS4", self.secret_key].concat();
        [self.region, self.service, "aws4_request"].iter().fold(
            mac(secret.as_bytes(), day.as_bytes()).as_ref().to_vec(),
            |key, part| mac(&key, part.as_bytes()).as_ref().to_vec(),
        )
    }
}

/// What [`Signer::header`] makes.
#[derive(Debug)]
pub struct Signed {
    /// The value of `Authorization`.
    pub authorization: HeaderValue,
    /// The value of `x-amz-content-sha256`, which must then be sent, too.
    pub content_hash: Option<HeaderValue>,
}

fn mac(key: &[u8], text: &[u8]) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text)
}

/// The host as the HTTP client writes it: with the port, unless it is usual.
fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

/// The canonical request, and the names of the signed headers.
fn canonical(mut request: Request<'_>, is_s3: bool) -> (String, String) {
    // A stable sort: values of one name stay in their order.
    request.headers.sort_by_key(|(name, _)| *name);
    let mut names = String::new();
    let mut text = String::with_capacity(512);
    text.push_str(request.method);
    text.push('\n');
    if is_s3 {
        write_object_path(request.path, &mut text);
    } else {
        write_path(request.path, &mut text);
    }
    text.push('\n');
    write_query(request.query, &mut text);
    for (index, (name, value)) in request.headers.iter().enumerate() {
        let is_repeated = index > 0 && request.headers[index - 1].0 == *name;
        if is_repeated {
            text.push(',');
        } else {
            let semicolon = if names.is_empty() { "" } else { ";" };
            let _ = write!(names, "{semicolon}{name}");
            let _ = write!(text, "\n{name}:");
        }
        for (index, word) in value.split_ascii_whitespace().enumerate() {
            if index > 0 {
                text.push(' ');
            }
            text.push_str(word);
        }
    }
    let _ = write!(text, "\n\n{names}\n{}", request.payload_hash);
    (text, names)
}

/// An object's name has its own slashes and dots: it is escaped once, whatever
/// of it was escaped before.
fn write_object_path(path: &str, out: &mut String) {
    let decoded = percent_decode_str(path).decode_utf8_lossy();
    for (index, segment) in decoded.split('/').enumerate() {
        if index > 0 {
            out.push('/');
        }
        escape(segment, out);
    }
}

/// Without `.`, `..` and empty segments, and escaped once more than it is sent.
fn write_path(path: &str, out: &mut String) {
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            segment => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push('/');
        escape(segment, out);
    }
    if segments.is_empty() || path.ends_with('/') {
        out.push('/');
    }
}

fn write_query(query: &str, out: &mut String) {
    let mut pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
        .map(|(name, value)| (super::escaped(&name), super::escaped(&value)))
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        let ampersand = if index > 0 { "&" } else { "" };
        let _ = write!(out, "{ampersand}{name}={value}");
    }
}

#[cfg(test)]
mod tests;
