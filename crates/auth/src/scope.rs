//! The values that a template's placeholders may name during one request.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use linkspan_providers::interpolate::{Function, Path, Root, Scope, Unresolved};
use linkspan_providers::{Config, Template};
use ring::digest::{SHA256, digest};
use ring::hmac;
use secrecy::ExposeSecret;
use uuid::Uuid;

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

    fn own_client(&self) -> Option<&OwnClient> {
        self.credentials?.own_client()
    }

    fn name(&self, name: &str) -> Option<Cow<'_, str>> {
        match name {
            "clientId" => match self.own_client() {
                Some(own) => Some(Cow::Borrowed(&own.client_id)),
                None => Some(Cow::Borrowed(&self.client?.client_id)),
            },
            "clientSecret" => {
                let secret = match self.own_client() {
                    Some(own) => own.client_secret.as_ref(),
                    None => self.client?.client_secret.as_ref(),
                };
                Some(Cow::Borrowed(secret?.expose_secret()))
            }
            "random" => {
                let random = || Uuid::new_v4().to_string();
                Some(Cow::Borrowed(self.random.get_or_init(random)))
            }
            name => self.credentials?.field(name),
        }
    }
}

impl Scope for RequestScope<'_> {
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
        match path.root() {
            Root::ConnectionConfig | Root::IntegrationConfig => self.config.lookup(path),
            Root::Credentials => self.credentials?.field(path.key()),
            Root::AssertionOption | Root::Step(_) => None,
            Root::Bare => self.name(path.key()),
        }
    }

    fn now(&self) -> Option<DateTime<Utc>> {
        Some(*self.now.get_or_init(Utc::now))
    }

    fn call(&self, function: Function, arguments: &[String]) -> Option<String> {
        match (function, arguments) {
            (Function::Sha256Hex, [text]) => Some(hex(digest(&SHA256, text.as_bytes()).as_ref())),
            (Function::Sha256Base64, [text]) => {
                Some(STANDARD.encode(digest(&SHA256, text.as_bytes())))
            }
            (Function::HmacSha1Hex, [message, key]) => {
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
                Some(hex(hmac::sign(&key, message.as_bytes()).as_ref()))
            }
            _ => None,
        }
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
        Err(Unresolved::Unsupported { function }) => Err(Error::Unsupported {
            provider: template.slug.clone(),
            feature: function.as_str(),
        }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use linkspan_providers::interpolate::Text;
    use serde_json::Map;

    use super::*;

    #[test]
    fn hashes_and_time_are_computed() {
        let yaml = "display_name: T\ncategories: [other]\nauth_mode: NONE\n";
        let template = Template::parse("t", yaml).unwrap();
        let config = Config {
            template: &template,
            connection: &Map::new(),
            integration: &Map::new(),
        };
        let scope = RequestScope::new(&config, None, None);
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
        let unsupported = value("${fingerprint(x)}").unwrap_err();
        let function = Function::Fingerprint;
        assert_eq!(unsupported, Unresolved::Unsupported { function });
    }
}
