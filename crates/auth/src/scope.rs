//! The values that a template's placeholders may name during one request.

use std::borrow::Cow;
use std::cell::OnceCell;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use linkspan_providers::interpolate::{CallError, Function, Path, Root, Scope, Unresolved};
use linkspan_providers::{Config, Template};
use ring::digest::{SHA256, digest};
use ring::hmac;
use secrecy::ExposeSecret;
use uuid::Uuid;

use crate::sign::{self, hex};
use crate::{Client, Credentials, Error, OwnClient};

/// Configuration, client, credentials, and the time and a random id, which stay
/// the same throughout one request.
pub(crate) struct RequestScope<'a> {
    config: &'a Config<'a>,
    client: Option<&'a Client>,
    credentials: Option<&'a Credentials>,
    now: OnceCell<DateTime<Utc>>,
    random: OnceCell<String>,
}

impl<'a> RequestScope<'a> {
    pub(crate) fn new(
        config: &'a Config<'a>,
        client: Option<&'a Client>,
        credentials: Option<&'a Credentials>,
    ) -> Self {
        Self {
            config,
            client,
            credentials,
            now: OnceCell::new(),
            random: OnceCell::new(),
        }
    }

    /// A credential, or what the integration has in its place: some providers
    /// give one key to all connections.
    fn credential(&self, name: &str) -> Option<Cow<'_, str>> {
        let entered = self.credentials.and_then(|own| own.field(name));
        entered.or_else(|| {
            let fields = &self.config.template.integration_config.0;
            fields.get(name)?;
            self.config.integration.value(name)
        })
    }

    /// At a given time, with a given id.
    pub(crate) fn at(self, now: DateTime<Utc>, random: Uuid) -> Self {
        Self {
            now: now.into(),
            random: random.to_string().into(),
            ..self
        }
    }

    pub(crate) fn time(&self) -> DateTime<Utc> {
        *self.now.get_or_init(Utc::now)
    }

    pub(crate) fn random(&self) -> &str {
        self.random.get_or_init(|| Uuid::new_v4().to_string())
    }

    fn own_client(&self) -> Option<&OwnClient> {
        self.credentials?.own_client()
    }

    fn name(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "clientId" => match self.own_client() {
                Some(own) => Some(Cow::Borrowed(&own.client_id)),
                None => {
                    let id = &self.client?.client_id;
                    (!id.is_empty()).then_some(Cow::Borrowed(id))
                }
            },
            "clientSecret" => {
                let secret = match self.own_client() {
                    Some(own) => own.client_secret.as_ref(),
                    None => self.client?.client_secret.as_ref(),
                };
                Some(Cow::Borrowed(secret?.expose_secret()))
            }
            "random" => Some(Cow::Borrowed(self.random())),
            // One template has it without a root.
            "apiSubdomain" => self.config.connection.value(name),
            name => self.credentials?.field(name),
        }
    }
}

pub(crate) fn failed(error: sign::Error) -> CallError {
    CallError::Failed(error.to_string())
}

impl Scope for RequestScope<'_> {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        match path.root() {
            Root::ConnectionConfig | Root::IntegrationConfig => self.config.lookup(path),
            Root::Credentials => self.credential(path.key()),
            Root::AssertionOption | Root::Step(_) => None,
            Root::Bare => self.name(path.key()),
        }
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        Some(self.time())
    }

    fn call(&self, function: Function, arguments: &[String]) -> Result<String, CallError> {
        call(function, arguments)
    }
}

/// The value of a function that depends on its arguments alone.
fn call(function: Function, arguments: &[String]) -> Result<String, CallError> {
    match (function, arguments) {
        (Function::Sha256Hex, [text]) => Ok(hex(digest(&SHA256, text.as_bytes()).as_ref())),
        (Function::Sha256Base64, [text]) => Ok(STANDARD.encode(digest(&SHA256, text.as_bytes()))),
        (Function::HmacSha1Hex, [message, key]) => {
            let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
            Ok(hex(hmac::sign(&key, message.as_bytes()).as_ref()))
        }
        (Function::Fingerprint, [pem]) => sign::PrivateKey::from_pem(pem)
            .and_then(|key| key.fingerprint())
            .map_err(failed),
        (Function::Ed25519Sign, [message, pem]) => {
            sign::http_message::ed25519(message, pem).map_err(failed)
        }
        _ => Err(CallError::Unsupported),
    }
}

/// A value, or nothing where a placeholder has none: what is optional is left
/// out then. But never for want of a function, since what it signs would be sent
/// unsigned.
pub(crate) fn unless_unset<T>(
    template: &Template,
    value: Result<T, Unresolved>,
) -> Result<Option<T>, Error> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(Unresolved::Unset { .. }) => Ok(None),
        Err(Unresolved::Unsupported { function }) => {
            Err(Error::unsupported(template, function.as_str()))
        }
        Err(failed @ Unresolved::Failed { .. }) => Err(Error::Unusable(failed.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use linkspan_providers::interpolate::Text;
    use serde_json::Map;

    use super::*;

    fn with_scope<T>(act: impl FnOnce(RequestScope<'_>) -> T) -> T {
        let yaml = "display_name: T\ncategories: [other]\nauth_mode: NONE\n";
        let template = Template::parse("t", yaml).unwrap();
        let config = Config {
            template: &template,
            connection: &Map::new(),
            integration: &Map::new(),
        };
        act(RequestScope::new(&config, None, None))
    }

    #[test]
    fn hashes_and_time_are_computed() {
        with_scope(|scope| {
            let value = |text: &str| Text::parse(text).unwrap().evaluate(&scope);
            // FIPS 180-2 appendix B.1, and RFC 2202 case 2.
            for (text, expected) in [
                (
                    "${sha256Hex(abc)}",
                    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                ),
                (
                    "${sha256Base64(abc)}",
                    "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=",
                ),
                (
                    "${hmacSha1Hex(what do ya want for nothing?, Jefe)}",
                    "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
                ),
            ] {
                assert_eq!(value(text).as_deref(), Ok(expected));
            }
            let twice = value("${now:x} ${now:x} ${random} ${random}").unwrap();
            let parts: Vec<_> = twice.split(' ').collect();
            assert_eq!((parts[0], parts[2]), (parts[1], parts[3]));
        });
        with_scope(|scope| {
            let now = "2026-01-02T03:04:05Z".parse().unwrap();
            let scope = scope.at(now, Uuid::nil());
            let value = Text::parse("${now:X} ${random}").unwrap().evaluate(&scope);
            let expected = "1767323045 00000000-0000-0000-0000-000000000000";
            assert_eq!(value.as_deref(), Ok(expected));
        });
    }

    #[test]
    fn a_key_has_a_fingerprint() {
        with_scope(|scope| {
            let stored = serde_json::json!({
                "type": "BASIC", "username": "",
                "password": include_str!("sign/vectors/rfc7515-a2-pkcs1.pem"),
            });
            let credentials: Credentials = serde_json::from_value(stored).unwrap();
            let scope = RequestScope::new(scope.config, None, Some(&credentials));
            let text = Text::parse("${fingerprint(${credentials.password})}").unwrap();
            assert_eq!(
                text.evaluate(&scope).as_deref(),
                Ok("SHA256:b9E8JDWjYefFiM0X9V9a098Bd6ZsFyemogCEX016uIw=")
            );
        });
    }

    #[test]
    fn a_function_that_fails_is_no_unset_value() {
        with_scope(|scope| {
            let value = |text: &str| Text::parse(text).unwrap().evaluate(&scope);
            for text in [
                "${fingerprint(x)}",
                "${ed25519Sign(a, x)}",
                "${fingerprint(x)} || y",
            ] {
                let error = value(text).unwrap_err();
                assert!(
                    matches!(error, Unresolved::Failed { .. }),
                    "{text}: {error}"
                );
                assert!(error.to_string().contains("-----BEGIN"), "{error}");
                let error = unless_unset(scope.config.template, Err::<(), _>(error));
                assert!(matches!(error, Err(Error::Unusable(_))));
            }
            // There is no request to sign.
            let error = value("${awsSigV4(a, b, c, d)}").unwrap_err();
            let function = Function::AwsSigV4;
            assert_eq!(error, Unresolved::Unsupported { function });
            assert!(matches!(value("${host}"), Err(Unresolved::Unset { .. })));
        });
    }
}
