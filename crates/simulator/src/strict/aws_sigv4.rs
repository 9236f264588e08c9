//! A strict provider of AWS_SIGV4: the Security Token Service, one of a
//! developer's own, and services that take the keys which either gave.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{NaiveDateTime, TimeDelta, Utc};
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

use super::{Answer, Refused, Strict};
use crate::journal::SeenRequest;

/// The developer's service; it wants `x-api-key: sts-key`.
pub const SERVICE_PATH: &str = "/sts.acme.test/assume";

/// How far a request's time may be off.
const SKEW: TimeDelta = TimeDelta::minutes(5);

/// Who may assume what.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The developer's key and its secret.
    pub key: (String, String),
    /// The role that there is.
    pub role_arn: String,
    /// How long keys last.
    pub life: Duration,
}

/// A key that was given: its secret, its session, and until when.
struct Given {
    secret: String,
    session: String,
    until: Instant,
}

type Keys = BTreeMap<String, Given>;

/// Starts one.
///
/// # Errors
/// There is no free port.
pub async fn start(settings: Settings) -> io::Result<Strict> {
    let keys = Arc::new(Mutex::new(Keys::new()));
    Strict::start(move |request| {
        let mut keys = keys.lock().unwrap_or_else(PoisonError::into_inner);
        match request.path.as_str() {
            SERVICE_PATH => serve(&settings, request, &mut keys),
            path if path.starts_with("/sts.") => assume(&settings, request, &mut keys),
            _ => call(request, &keys),
        }
    })
    .await
}

fn give(settings: &Settings, keys: &mut Keys) -> (String, [String; 3]) {
    let new = |prefix: &str| format!("{prefix}{}", Uuid::new_v4().simple());
    let (id, secret, session) = (new("ASIA"), new("s/+"), new("t="));
    let given = Given {
        secret: secret.clone(),
        session: session.clone(),
        until: Instant::now() + settings.life,
    };
    keys.insert(id.clone(), given);
    let end = Utc::now() + settings.life;
    let end = end.format("%Y-%m-%dT%H:%M:%SZ").to_string();
    (end, [id, secret, session])
}

fn assume(settings: &Settings, request: &SeenRequest, keys: &mut Keys) -> Result<Answer, Refused> {
    let signed = Signed::read(request)?;
    if signed.key != settings.key.0 || signed.service != "sts" {
        return Err(Refused::client("the key or the service is wrong"));
    }
    signed.verify(request, &settings.key.1)?;
    let asked: BTreeMap<_, _> = form_urlencoded::parse(&request.body).into_owned().collect();
    let get = |name: &str| asked.get(name).map_or("", String::as_str);
    if (get("Action"), get("Version")) != ("AssumeRole", "2011-06-15") {
        return Err(Refused::request("Action or Version is wrong"));
    }
    if get("RoleArn") != settings.role_arn || get("ExternalId").is_empty() {
        let body = "<ErrorResponse><Error><Code>AccessDenied</Code><Message>not yours</Message>\
                    </Error></ErrorResponse>";
        return Ok(Answer::new(403, "text/xml", body));
    }
    if get("RoleSessionName").len() < 2 || get("DurationSeconds") != "3600" {
        return Err(Refused::request(
            "RoleSessionName or DurationSeconds is wrong",
        ));
    }
    let (end, [id, secret, session]) = give(settings, keys);
    let body = format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
         <SecretAccessKey>{secret}</SecretAccessKey><SessionToken>{session}</SessionToken>\
         <Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
    );
    Ok(Answer::new(200, "text/xml", body))
}

fn serve(settings: &Settings, request: &SeenRequest, keys: &mut Keys) -> Result<Answer, Refused> {
    if request.header("x-api-key") != Some("sts-key") {
        return Err(Refused::client("x-api-key is wrong"));
    }
    let asked: Value = serde_json::from_slice(&request.body)
        .map_err(|_| Refused::request("the body is not JSON"))?;
    let is_there = |name: &str| asked[name].as_str().is_some_and(|text| !text.is_empty());
    if asked["role_arn"] != settings.role_arn.as_str() {
        return Err(Refused::client("role_arn is unknown"));
    }
    if !["external_id", "region", "service"]
        .into_iter()
        .all(is_there)
    {
        return Err(Refused::request(
            "external_id, region or service is missing",
        ));
    }
    let (end, [id, secret, session]) = give(settings, keys);
    let keys = json!({ "accessKeyId": id, "secretAccessKey": secret, "sessionToken": session,
        "expiresAt": end });
    Ok(Answer::json(&json!({ "credentials": keys })))
}

fn call(request: &SeenRequest, keys: &Keys) -> Result<Answer, Refused> {
    let signed = Signed::read(request)?;
    let host = request.path.trim_start_matches('/');
    let own = format!("{}.{}.amazonaws.com", signed.service, signed.region);
    if host.split('/').next() != Some(&own) {
        return Err(Refused::call(
            "the signature is for another service or region",
        ));
    }
    let given = keys.get(signed.key);
    let given = given.ok_or_else(|| Refused::call("the key is unknown"))?;
    if given.until <= Instant::now() {
        return Err(Refused::call("the key has expired"));
    }
    if request.header("x-amz-security-token") != Some(&given.session) {
        return Err(Refused::call("x-amz-security-token is wrong"));
    }
    signed.verify(request, &given.secret)?;
    Ok(Answer::json(&json!({ "ok": true })))
}

/// What an `Authorization` header says.
struct Signed<'a> {
    key: &'a str,
    day: &'a str,
    region: &'a str,
    service: &'a str,
    names: &'a str,
    signature: &'a str,
}

impl<'a> Signed<'a> {
    fn read(request: &'a SeenRequest) -> Result<Self, Refused> {
        let malformed = || Refused::call("authorization is malformed");
        let header = request.header("authorization").ok_or_else(malformed)?;
        let rest = header
            .strip_prefix("AWS4-HMAC-SHA256 ")
            .ok_or_else(malformed)?;
        let fields: BTreeMap<&str, &str> = rest
            .split(", ")
            .filter_map(|field| field.split_once('='))
            .collect();
        let get = |name: &str| fields.get(name).copied().ok_or_else(malformed);
        let scope: Vec<&str> = get("Credential")?.split('/').collect();
        let [key, day, region, service, "aws4_request"] = scope[..] else {
            return Err(malformed());
        };
        let (names, signature) = (get("SignedHeaders")?, get("Signature")?);
        Ok(Self {
            key,
            day,
            region,
            service,
            names,
            signature,
        })
    }

    fn verify(&self, request: &SeenRequest, secret: &str) -> Result<(), Refused> {
        let time = request.header("x-amz-date").unwrap_or_default();
        let at = NaiveDateTime::parse_from_str(time, "%Y%m%dT%H%M%SZ");
        let at = at
            .map_err(|_| Refused::call("x-amz-date is missing"))?
            .and_utc();
        if (Utc::now() - at).abs() > SKEW || !time.starts_with(self.day) {
            return Err(Refused::call("x-amz-date is another time"));
        }
        self.check_names(request)?;
        let scope = [self.day, self.region, self.service, "aws4_request"].join("/");
        let canonical = self.canonical(request)?;
        let text = format!(
            "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
            hash(canonical.as_bytes())
        );
        let first = mac(format!("AWS4{secret}").as_bytes(), self.day);
        let key = [self.region, self.service, "aws4_request"]
            .iter()
            .fold(first, |key, part| mac(&key, part));
        match hex(&mac(&key, &text)) == self.signature {
            true => Ok(()),
            false => Err(Refused::call("the signature is wrong")),
        }
    }

    /// The host and every `x-amz-` header must be signed.
    fn check_names(&self, request: &SeenRequest) -> Result<(), Refused> {
        let names: Vec<&str> = self.names.split(';').collect();
        let must = |name: &str| name == "host" || name.starts_with("x-amz-");
        let all = request.headers.iter().map(|(name, _)| name.as_str());
        match all
            .filter(|name| must(name))
            .all(|name| names.contains(&name))
        {
            true => Ok(()),
            false => Err(Refused::call("a header that must be signed is not")),
        }
    }

    fn canonical(&self, request: &SeenRequest) -> Result<String, Refused> {
        let is_s3 = self.service == "s3";
        let given = request.header("x-amz-content-sha256");
        let payload = match given {
            Some("UNSIGNED-PAYLOAD") if is_s3 => "UNSIGNED-PAYLOAD".to_owned(),
            Some(other) if other != hash(&request.body) => {
                return Err(Refused::call("x-amz-content-sha256 is not the body's"));
            }
            None if is_s3 => return Err(Refused::call("x-amz-content-sha256 is missing")),
            _ => hash(&request.body),
        };
        // S3 escapes the object's name itself; the others escape what was sent.
        let segments = request.path.split('/');
        let path: Vec<_> = match is_s3 {
            true => segments.map(|segment| escape(&unescape(segment))).collect(),
            false => segments.map(escape).collect(),
        };
        let path = path.join("/");
        let mut query: Vec<_> = request
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", escape(name), escape(value)))
            .collect();
        query.sort();
        let mut headers = String::new();
        for name in self.names.split(';') {
            let value = request.header(name);
            let value = value.ok_or_else(|| Refused::call("a signed header is not there"))?;
            // Writing to a String cannot fail.
            let _ = writeln!(headers, "{name}:{}", value.trim());
        }
        let (method, query) = (&request.method, query.join("&"));
        Ok(format!(
            "{method}\n{path}\n{query}\n{headers}\n{}\n{payload}",
            self.names
        ))
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

fn hash(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unescape(segment: &str) -> String {
    let literal = segment
        .replace('+', "%2B")
        .replace('=', "%3D")
        .replace('&', "%26");
    let mut pairs = form_urlencoded::parse(literal.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(text, _)| text.into_owned())
}

/// RFC 3986's unreserved characters stay.
fn escape(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escaped).collect()
}
