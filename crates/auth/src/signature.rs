//! SIGNATURE: a token that this server makes of a name, a password and the time
//! (WSSE). No provider is asked, so a refresh makes it anew.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use linkspan_providers::{Config, SignatureProtocol};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::Value;

use crate::sign::{hex, wsse};
use crate::{Client, Credentials, Entered, Error, Finished, Login, Rejected, TokenEndpoint};

const USERNAME: &str = "username";
const PASSWORD: &str = "password";

/// How long a token is used where the template does not say; a provider takes
/// one for about as long.
const LIFE_MS: u64 = 5 * 60 * 1000;

/// Makes a token of what a person entered, or again of what was kept of it.
///
/// # Errors
/// [`Rejected::Field`] for what does not fit the template; [`Error::Sign`],
/// [`Error::Random`].
pub(crate) async fn log_in<E: TokenEndpoint>(
    _client: Option<&Client>,
    config: &Config<'_>,
    entered: &Entered,
    _earlier: Option<&Login>,
    _endpoint: &E,
) -> Result<Finished, Rejected> {
    let template = config.template;
    template.credentials.check(&entered.fields)?;
    let protocol = template
        .signature
        .as_ref()
        .map(|signature| signature.protocol);
    if protocol != Some(SignatureProtocol::WSSE) {
        return Err(Error::unsupported(template, "a signature other than WSSE").into());
    }
    let field = |name: &str| entered.fields.get(name).map_or("", String::as_str);
    let now = Utc::now();
    let nonce = nonce()?;
    let token = wsse::username_token(field(USERNAME), field(PASSWORD), &nonce, now);
    let life = template
        .token
        .as_ref()
        .map_or(LIFE_MS, |token| token.expires_in_ms);
    let entered = entered.fields.iter();
    Ok(Credentials::Signature(Login {
        entered: entered
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect(),
        token: token.map_err(Error::from)?.into(),
        refresh_token: None,
        brought: BTreeMap::new(),
        expires_at: end(now, life),
        issued_at: now,
        raw: Value::Null,
    })
    .into())
}

fn nonce() -> Result<String, Error> {
    let mut bytes = [0; 16];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| Error::Random)?;
    Ok(hex(&bytes))
}

fn end(now: DateTime<Utc>, life: u64) -> Option<DateTime<Utc>> {
    let life = TimeDelta::try_milliseconds(i64::try_from(life).ok()?)?;
    now.checked_add_signed(life)
}

#[cfg(test)]
mod tests {
    use linkspan_providers::Template;
    use secrecy::ExposeSecret;
    use serde_json::Map;

    use super::*;
    use crate::endpoint::tests::Nobody;

    const EMARSYS: &str = include_str!("../../../providers/emarsys.yaml");

    async fn log_in(username: &str, password: &str) -> Result<Login, Rejected> {
        let template = Template::parse("emarsys", EMARSYS).unwrap();
        let config = Config {
            template: &template,
            connection: &Map::new(),
            integration: &Map::new(),
        };
        let fields = [(USERNAME, username), (PASSWORD, password)];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let entered = BTreeMap::from(fields).into();
        let finished = super::log_in(None, &config, &entered, None, &Nobody).await?;
        match finished.credentials {
            Credentials::Signature(login) => Ok(login),
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn each_token_has_a_nonce_of_its_own_and_lasts_five_minutes() {
        let (one, two) = (log_in("acme", "hush").await, log_in("acme", "hush").await);
        let (one, two) = (one.unwrap(), two.unwrap());
        let text = one.token.expose_secret();
        assert!(text.starts_with("UsernameToken Username=\"acme\", PasswordDigest=\""));
        assert_ne!(text, two.token.expose_secret());
        let life = one.expires_at.unwrap() - one.issued_at;
        assert_eq!(life, TimeDelta::minutes(5));
        let wire = one.to_wire("SIGNATURE", Some("token"));
        let mut keys: Vec<_> = wire.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        assert_eq!(
            keys,
            ["expires_at", "password", "token", "type", "username"]
        );
    }

    #[tokio::test]
    async fn what_does_not_fit_the_template_is_refused_without_its_value() {
        for (username, password, field) in [
            ("", "hush", USERNAME),
            ("acme", "", PASSWORD),
            ("a b", "hush", USERNAME),
        ] {
            match log_in(username, password).await.unwrap_err() {
                Rejected::Field(wrong) => {
                    assert_eq!(wrong.field, field);
                    assert!(!wrong.to_string().contains("a b"), "{wrong}");
                }
                other => panic!("{other}"),
            }
        }
    }
}
