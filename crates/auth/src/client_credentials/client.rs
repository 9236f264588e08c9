//! The client that asks for a token.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use linkspan_providers::interpolate::Root;
use linkspan_providers::{
    AuthorizationMethod, FieldError, Template, TokenRequestAuthMethod, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};

use super::ParamMap;
use crate::login::request::value;
use crate::{Client, Error};

const ID: &str = "client_id";
const SECRET: &str = "client_secret";
pub(super) const CERTIFICATE: &str = "client_certificate";
pub(super) const PRIVATE_KEY: &str = "client_private_key";

/// What a person may enter, whether the template lists it or not.
const KNOWN: [&str; 4] = [ID, SECRET, CERTIFICATE, PRIVATE_KEY];

/// The client: what was entered, or else the integration's, if the template alone
/// says where it goes.
pub(super) struct Own {
    entered: BTreeMap<String, String>,
    pub(super) id: String,
    secret: Option<SecretString>,
}

impl Own {
    /// The client of these entries, which are checked when they are new.
    ///
    /// # Errors
    /// The first field that is unknown, malformed, or missing where the
    /// integration has nothing in its place.
    pub(super) fn of(
        template: &Template,
        shared: Option<&Client>,
        fields: &BTreeMap<String, String>,
        is_new: bool,
    ) -> Result<Self, FieldError> {
        let trimmed = fields
            .iter()
            .map(|(name, text)| (name.clone(), text.trim().to_owned()));
        let entered: BTreeMap<_, _> = trimmed.filter(|(_, text)| !text.is_empty()).collect();
        if is_new {
            check(template, &entered)?;
        }
        let shared = shared.filter(|client| !client.client_id.is_empty());
        // A client is both: another's id with our secret works nowhere.
        let (id, secret) = match (entered.get(ID), shared) {
            (Some(id), _) => (
                id.clone(),
                entered.get(SECRET).map(|text| text.as_str().into()),
            ),
            (None, Some(_)) if is_addressed_by_connection(template) => {
                let message = "is required: the integration's client is not sent to an address \
                    that the connection's configuration names";
                return Err(FieldError::new(ID, message));
            }
            (None, Some(client)) => (client.client_id.clone(), client.client_secret.clone()),
            (None, None) => return Err(FieldError::new(ID, "is required")),
        };
        let own = Self {
            entered,
            id,
            secret,
        };
        let proves_by_key =
            template.token_request_auth_method == Some(TokenRequestAuthMethod::PrivateKeyJwt);
        let needed = [
            (SECRET, !proves_by_key && own.secret.is_none()),
            (PRIVATE_KEY, proves_by_key && own.get(PRIVATE_KEY).is_none()),
        ];
        match needed.into_iter().find(|(_, is_missing)| *is_missing) {
            Some((name, _)) => Err(FieldError::new(name, "is required")),
            None => Ok(own),
        }
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.entered.get(name).map(String::as_str)
    }

    /// For placeholders.
    pub(super) fn as_client(&self) -> Client {
        Client {
            client_id: self.id.clone(),
            client_secret: self.secret.clone(),
            ..Client::default()
        }
    }

    /// What must not stand in an error message.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let entered = self.entered.iter().filter(|(name, _)| *name != ID);
        let entered = entered.map(|(_, text)| text.as_str());
        let secret = self.secret.iter().map(ExposeSecret::expose_secret);
        entered.chain(secret).collect()
    }

    /// What is kept, to log in again: nothing of the integration's.
    pub(super) fn into_entered(self) -> BTreeMap<String, SecretString> {
        let entered = self.entered.into_iter();
        entered.map(|(name, text)| (name, text.into())).collect()
    }

    pub(super) fn in_header(&self, template: &Template) -> bool {
        template.token_request_auth_method == Some(TokenRequestAuthMethod::Basic)
            || template.authorization_method == Some(AuthorizationMethod::Header)
    }

    /// Id and secret as parameters of these names.
    pub(super) fn add(&self, params: &mut ParamMap, id: &str, secret: &str) {
        params.insert(id.to_owned(), self.id.clone().into());
        if let Some(value) = &self.secret {
            params.insert(secret.to_owned(), value.expose_secret().into());
        }
    }

    /// RFC 7617, and not RFC 6749's form encoding of both parts first: the
    /// providers of this grant take ids with `@` as they are.
    pub(super) fn basic(&self) -> Result<HeaderValue, Error> {
        let secret = self.secret.as_ref().map(ExposeSecret::expose_secret);
        let pair = format!("{}:{}", self.id, secret.unwrap_or_default());
        value(&AUTHORIZATION, &format!("Basic {}", STANDARD.encode(pair)))
    }
}

/// Whether the connection's configuration has a say in where tokens are asked for.
/// A browser may give it, and could have a developer's secret sent to itself.
fn is_addressed_by_connection(template: &Template) -> bool {
    let paths = template.token_url.as_ref().map(TokenUrl::oauth2);
    let mut paths = paths.into_iter().flat_map(|url| url.paths());
    paths.any(|path| path.root() == Root::ConnectionConfig)
}

/// The template says what must be entered, and of which form. What it does not
/// mention may be entered too, since most templates leave the client out.
fn check(template: &Template, entered: &BTreeMap<String, String>) -> Result<(), FieldError> {
    let fields = &template.credentials;
    for name in entered.keys() {
        if !KNOWN.contains(&name.as_str()) && !fields.0.contains_key(name) {
            return Err(FieldError::new(name, "is not a field of this provider"));
        }
    }
    let listed = entered
        .iter()
        .filter(|(name, _)| fields.0.contains_key(*name))
        .map(|(name, text)| (name.clone(), text.clone()))
        .collect();
    fields.check(&listed)
}
