//! JWT: a token that this server signs with the key that a person entered. No
//! provider is asked, so a refresh signs anew.

use std::collections::BTreeMap;

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};
use linkspan_providers::{
    Config, Entries, Param, SecretEncoding, SelfSigned, Signature, SignatureProtocol, Template,
};
use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::scope::{RequestScope, unless_unset};
use crate::sign::PrivateKey;
use crate::sign::jwt::{Algorithm, Key, hex_secret, sign};
use crate::{Client, Credentials, Entered, Error, Finished, Login, Rejected, TokenEndpoint};

/// Where an older form has a key in two parts.
const KEY: &str = "privateKey";

/// Joins an older form of a key, `{"id", "secret"}`, to the text that people copy.
/// What is not of that form stays as it is.
pub fn join_key(given: &mut Map<String, Value>) {
    let Some(Value::Object(parts)) = given.get(KEY) else {
        return;
    };
    let part = |name| parts.get(name).and_then(Value::as_str);
    if let (2, Some(id), Some(secret)) = (parts.len(), part("id"), part("secret")) {
        let key = format!("{id}:{secret}");
        given.insert(KEY.to_owned(), key.into());
    }
}

/// Signs a token with what a person entered, or again with what was kept of it.
///
/// # Errors
/// [`Rejected::Field`] for what does not fit the template; [`Error::Sign`] and
/// [`Error::Unusable`] for a key that cannot sign.
pub(crate) async fn log_in<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    _earlier: Option<&Login>,
    _endpoint: &E,
) -> Result<Finished, Rejected> {
    let fields = with_line_breaks(&entered.fields);
    config.template.credentials.check(&fields)?;
    // A token's times are whole seconds, and what is stored is to agree with it.
    let now = Utc::now().trunc_subsecs(0);
    Ok(Credentials::Jwt(signed(config, fields, now)?).into())
}

/// Keys that were copied out of JSON have their line breaks as `\n`.
fn with_line_breaks(fields: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let plain = |value: &String| match value.contains("-----BEGIN ") {
        true => value.replace("\\r", "").replace("\\n", "\n"),
        false => value.clone(),
    };
    let fields = fields.iter();
    fields
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.clone(), plain(value)))
        .collect()
}

fn signed(
    config: &Config<'_>,
    fields: BTreeMap<String, String>,
    now: DateTime<Utc>,
) -> Result<Login, Error> {
    let template = config.template;
    let signature = template.signature.as_ref();
    let signature = signature.ok_or_else(|| lacks(template, "signature"))?;
    let token = template.token.as_ref();
    let token = token.ok_or_else(|| lacks(template, "token"))?;
    let entered = fields.into_iter();
    let login = Login {
        entered: entered.map(|(name, value)| (name, value.into())).collect(),
        token: SecretString::default(),
        refresh_token: None,
        brought: BTreeMap::new(),
        expires_at: Some(end(now, token)),
        issued_at: now,
        raw: Value::Null,
    };
    let credentials = Credentials::Jwt(login.clone());
    let scope = RequestScope::new(config, None, Some(&credentials));
    let text = text(template, signature, token, &scope, now)?;
    Ok(Login {
        token: text.into(),
        ..login
    })
}

fn lacks(template: &Template, key: &'static str) -> Error {
    let provider = template.slug.clone();
    Error::Template { provider, key }
}

fn end(now: DateTime<Utc>, token: &SelfSigned) -> DateTime<Utc> {
    let life = i64::try_from(token.expires_in_ms).ok();
    let life = life.and_then(TimeDelta::try_milliseconds);
    life.and_then(|life| now.checked_add_signed(life))
        .unwrap_or(DateTime::<Utc>::MAX_UTC)
}

fn text(
    template: &Template,
    signature: &Signature,
    token: &SelfSigned,
    scope: &RequestScope<'_>,
    now: DateTime<Utc>,
) -> Result<String, Error> {
    let key = token.signing_key.as_ref();
    let key = key.ok_or_else(|| lacks(template, "token.signing_key"))?;
    let key = key.evaluate(scope).map_err(|unset| {
        Error::Unusable(format!(
            "the token cannot be signed: {unset}; check what was entered"
        ))
    })?;
    let header = claims(template, token.header.iter(), scope)?;
    let mut payload = claims(template, token.payload.iter(), scope)?;
    for (name, time) in [("iat", now), ("exp", end(now, token))] {
        payload
            .entry(name)
            .or_insert_with(|| time.timestamp().into());
    }
    let algorithm = algorithm(template, signature.protocol, &header)?;
    if signature.protocol == SignatureProtocol::HMAC {
        let secret = match signature.hmac_secret_encoding {
            Some(SecretEncoding::Utf8) => key.into_bytes(),
            Some(SecretEncoding::Hex) | None => hex_secret(&key)?,
        };
        return Ok(sign(algorithm, Key::Secret(&secret), &header, &payload)?);
    }
    let key = PrivateKey::from_pem(&key)?;
    Ok(sign(algorithm, Key::Private(&key), &header, &payload)?)
}

/// The algorithm that the header names, or else the protocol's usual one. That a
/// key is of its kind is checked when it signs.
fn algorithm(
    template: &Template,
    protocol: SignatureProtocol,
    header: &Map<String, Value>,
) -> Result<Algorithm, Error> {
    let usual = match protocol {
        SignatureProtocol::RSA => Algorithm::Rs256,
        SignatureProtocol::EC => Algorithm::Es256,
        SignatureProtocol::HMAC => Algorithm::Hs256,
        SignatureProtocol::WSSE => return Err(Error::unsupported(template, "a WSSE JWT")),
    };
    match header.get("alg").and_then(Value::as_str) {
        Some(name) => Ok(name.parse()?),
        None => Ok(usual),
    }
}

/// The entries whose placeholders all have values: one that is optional is left
/// out where it was not entered.
fn claims<'a>(
    template: &Template,
    params: impl IntoIterator<Item = (&'a String, &'a Param)>,
    scope: &RequestScope<'_>,
) -> Result<Map<String, Value>, Error> {
    let mut claims = Map::new();
    for (name, param) in params {
        if let Some(value) = claim(template, param, scope)? {
            claims.insert(name.clone(), value);
        }
    }
    Ok(claims)
}

fn claim(
    template: &Template,
    param: &Param,
    scope: &RequestScope<'_>,
) -> Result<Option<Value>, Error> {
    match param {
        Param::Scalar(value) => Ok(Some(value.clone())),
        Param::Text(text) => {
            let value = unless_unset(template, text.evaluate(scope))?;
            let value = value.filter(|value| !value.is_empty());
            Ok(value.map(Value::String))
        }
        Param::Map(Entries(entries)) => {
            let entries = entries.iter().map(|(name, param)| (name, param));
            let entries = claims(template, entries, scope)?;
            Ok((!entries.is_empty()).then_some(Value::Object(entries)))
        }
        Param::List(items) => {
            let mut list = Vec::new();
            for item in items {
                match claim(template, item, scope)? {
                    // A person enters a list as one text.
                    Some(Value::String(text)) => list.extend(words(&text)),
                    other => list.extend(other),
                }
            }
            Ok((!list.is_empty()).then_some(Value::Array(list)))
        }
    }
}

fn words(text: &str) -> impl Iterator<Item = Value> {
    let words = text.split(',').map(str::trim);
    words.filter(|word| !word.is_empty()).map(Value::from)
}

#[cfg(test)]
mod tests;
