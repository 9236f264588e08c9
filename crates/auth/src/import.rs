//! Credentials that come from elsewhere: the forms that the API takes
//! (CONTRACT 2.6, `POST /connections`).

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use linkspan_providers::{AuthMode, Template};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::login::UNTOLD_LIFE;
use crate::oauth1::Token;
use crate::oauth2::Tokens;
use crate::{Credentials, Entered, Login, OwnClient, api_key, basic, jwt, tba};

/// Credentials that come from elsewhere. It may hold secrets, and has no `Debug`.
pub enum Imported {
    /// They are complete.
    Ready(Box<Credentials>),
    /// They are what a person would enter: [`crate::connect`] buys the token.
    Entered(Entered),
}

/// What is wrong with one field; without its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The kind of mistake, in the API's words.
    pub kind: &'static str,
    /// The field.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl Wrong {
    fn new(kind: &'static str, field: &str, message: impl Into<String>) -> Self {
        let (field, message) = (field.to_owned(), message.into());
        Self {
            kind,
            field,
            message,
        }
    }
}

/// The fields of one type of credentials, besides `type`.
struct Form {
    kind: AuthMode,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    /// Whether the template's own fields are taken too.
    is_free: bool,
}

/// Where the client is that credentials were given to.
const OVERRIDE: &str = "config_override";

/// What buys a token, and the token if there is one already.
const BOUGHT: &[&str] = &["token", "refresh_token", "expires_at"];

/// The types of credentials that can be imported.
const FORMS: &[Form] = &[
    form(
        AuthMode::OAuth2,
        &["access_token"],
        &["refresh_token", "expires_at"],
    ),
    form(
        AuthMode::OAuth2Cc,
        &[],
        &[
            "client_id",
            "client_secret",
            "client_certificate",
            "client_private_key",
            "token",
            "expires_at",
        ],
    ),
    form(
        AuthMode::OAuth1,
        &["oauth_token", "oauth_token_secret"],
        &[],
    ),
    form(AuthMode::ApiKey, &["apiKey"], &[]),
    form(AuthMode::Basic, &["username", "password"], &[]),
    form(AuthMode::Tba, &["token_id", "token_secret"], &[]),
    form(AuthMode::App, &["installation_id"], &["app_id"]),
    form(AuthMode::Custom, &["installation_id"], &["app_id"]),
    form(
        AuthMode::Bill,
        &["username", "password", "organization_id", "dev_key"],
        &[],
    ),
    form(AuthMode::Signature, &["username", "password"], &[]),
    form(AuthMode::AwsSigV4, &["role_arn"], &["region"]),
    Form {
        is_free: true,
        ..form(AuthMode::TwoStep, &[], BOUGHT)
    },
    Form {
        is_free: true,
        ..form(AuthMode::Jwt, &[], &[])
    },
    form(AuthMode::None, &[], &[]),
];

const fn form(
    kind: AuthMode,
    required: &'static [&'static str],
    optional: &'static [&'static str],
) -> Form {
    Form {
        kind,
        required,
        optional,
        is_free: false,
    }
}

/// The type of credentials that a connection in this mode has.
const fn kind(mode: AuthMode) -> AuthMode {
    match mode {
        AuthMode::McpOAuth2 | AuthMode::McpOAuth2Generic => AuthMode::OAuth2,
        AuthMode::InstallPlugin => AuthMode::Basic,
        mode => mode,
    }
}

/// Reads credentials in the API's form.
///
/// # Errors
/// Every field that is missing, unknown or malformed.
pub fn import(template: &Template, mut given: Map<String, Value>) -> Result<Imported, Vec<Wrong>> {
    let form = Form::of(template, given.remove("type").as_ref()).map_err(|wrong| vec![wrong])?;
    if form.kind == AuthMode::Jwt {
        jwt::join_key(&mut given);
    }
    let own_client = match form.kind {
        AuthMode::OAuth2 | AuthMode::OAuth1 | AuthMode::Tba => given.remove(OVERRIDE),
        _ => None,
    };
    let own_client = own_client.map(|own| read_client(own, form.kind));
    let own_client = own_client.transpose().map_err(|wrong| vec![wrong])?;
    let own_client = own_client.flatten();
    if let Some(options) = form.options(&mut given) {
        let entered = Entered {
            fields: form.read(template, given)?,
            options: options.map_err(|wrong| vec![wrong])?,
        };
        return Ok(Imported::Entered(entered));
    }
    let fields = form.read(template, given)?;
    form.credentials(template, fields, own_client)
        .map_err(|wrong| vec![wrong])
}

impl Form {
    fn of(template: &Template, kind_given: Option<&Value>) -> Result<&'static Self, Wrong> {
        let given = kind_given.and_then(Value::as_str).unwrap_or_default();
        let form = FORMS.iter().find(|form| form.kind.as_str() == given);
        let form = form.ok_or_else(|| {
            let names: Vec<_> = FORMS.iter().map(|form| form.kind.as_str()).collect();
            let message = format!("must be one of {}", names.join(", "));
            Wrong::new("invalid_union", "type", message)
        })?;
        if form.kind != kind(template.auth_mode) {
            let (slug, mode) = (&template.slug, template.auth_mode);
            let message = format!("provider '{slug}' authenticates by {mode}");
            return Err(Wrong::new("invalid_union", "type", message));
        }
        Ok(form)
    }

    /// What is used once to log in, where the mode has such a thing.
    fn options(
        &self,
        given: &mut Map<String, Value>,
    ) -> Option<Result<BTreeMap<String, String>, Wrong>> {
        if self.kind != AuthMode::TwoStep {
            return None;
        }
        let options = given.remove("assertionOption")?;
        let message = "must be an object of texts";
        Some(
            serde_json::from_value(options)
                .map_err(|_| Wrong::new("invalid_type", "assertionOption", message)),
        )
    }

    /// The fields, all of them known, texts, and there if they must be.
    fn read(
        &self,
        template: &Template,
        given: Map<String, Value>,
    ) -> Result<BTreeMap<String, String>, Vec<Wrong>> {
        let mut fields = BTreeMap::new();
        let mut mistakes = Vec::new();
        for (name, value) in given {
            let is_optional = self.optional.contains(&name.as_str());
            let is_templates = self.is_free && template.credentials.0.contains_key(&name);
            let is_known = is_optional || is_templates || self.required.contains(&name.as_str());
            match value {
                _ if !is_known => {
                    mistakes.push(Wrong::new("unrecognized_keys", &name, "unknown field"));
                }
                Value::Null if is_optional => {}
                Value::String(text) => {
                    fields.insert(name, text);
                }
                _ => mistakes.push(Wrong::new("invalid_type", &name, "must be a string")),
            }
        }
        for name in self.required {
            // Which of a name and a password may be empty is the template's to say.
            let may_be_empty = self.kind == AuthMode::Basic;
            let is_missing = |text: &String| text.is_empty() && !may_be_empty;
            if fields.get(*name).is_none_or(is_missing) {
                mistakes.push(Wrong::new("invalid_type", name, "Required"));
            }
        }
        match mistakes.is_empty() {
            true => Ok(fields),
            false => Err(mistakes),
        }
    }

    fn credentials(
        &self,
        template: &Template,
        mut fields: BTreeMap<String, String>,
        own_client: Option<OwnClient>,
    ) -> Result<Imported, Wrong> {
        let refused = |wrong: linkspan_providers::FieldError| {
            Wrong::new("invalid_string", &wrong.field, wrong.to_string())
        };
        let credentials = match self.kind {
            AuthMode::OAuth2 => Credentials::OAuth2(tokens(&fields, own_client)?),
            AuthMode::OAuth1 => Credentials::OAuth1(Token {
                raw: serde_json::json!(fields),
                token: secret(&mut fields, "oauth_token").unwrap_or_default(),
                token_secret: secret(&mut fields, "oauth_token_secret").unwrap_or_default(),
                own_client,
            }),
            AuthMode::ApiKey => api_key::accept(template, &fields).map_err(refused)?,
            AuthMode::Basic => basic::accept(template, &fields).map_err(refused)?,
            AuthMode::Tba => tba::import(&mut fields, own_client),
            AuthMode::None => Credentials::None,
            AuthMode::OAuth2Cc if has(&fields, "token") => {
                let mut login = login(fields)?;
                login.expires_at = login.expires_at.or(Some(login.issued_at + UNTOLD_LIFE));
                Credentials::ClientCredentials(login)
            }
            AuthMode::TwoStep if has(&fields, "token") => Credentials::TwoStep(login(fields)?),
            _ => return Ok(Imported::Entered(fields.into())),
        };
        Ok(Imported::Ready(Box::new(credentials)))
    }
}

fn has(fields: &BTreeMap<String, String>, name: &str) -> bool {
    fields.get(name).is_some_and(|text| !text.is_empty())
}

fn secret(fields: &mut BTreeMap<String, String>, name: &str) -> Option<SecretString> {
    let text = fields.remove(name).filter(|text| !text.is_empty());
    text.map(SecretString::from)
}

fn expires_at(fields: &mut BTreeMap<String, String>) -> Result<Option<DateTime<Utc>>, Wrong> {
    let text = fields.remove("expires_at").filter(|text| !text.is_empty());
    let Some(text) = text else {
        return Ok(None);
    };
    match DateTime::parse_from_rfc3339(&text) {
        Ok(at) => Ok(Some(at.with_timezone(&Utc))),
        Err(error) => Err(Wrong::new(
            "invalid_string",
            "expires_at",
            error.to_string(),
        )),
    }
}

/// A token with what bought it. What came of the token stands for the provider's
/// answer.
fn login(mut fields: BTreeMap<String, String>) -> Result<Login, Wrong> {
    let is_bought = |(name, _): &(&String, &String)| BOUGHT.contains(&name.as_str());
    let raw = fields.iter().filter(is_bought).collect::<BTreeMap<_, _>>();
    let raw = serde_json::json!(raw);
    let expires_at = expires_at(&mut fields)?;
    let token = secret(&mut fields, "token").unwrap_or_default();
    let refresh_token = secret(&mut fields, "refresh_token");
    let entered = fields.into_iter();
    Ok(Login {
        entered: entered.map(|(name, text)| (name, text.into())).collect(),
        token,
        refresh_token,
        brought: BTreeMap::new(),
        expires_at,
        issued_at: Utc::now(),
        raw,
    })
}

/// The client that the credentials were given to, if it is not the integration's.
/// One without a secret is a public client (RFC 6749 section 2.1), which cannot
/// sign; nothing, or an empty one, is none.
fn read_client(given: Value, kind: AuthMode) -> Result<Option<OwnClient>, Wrong> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given {
        client_id: Option<String>,
        client_secret: Option<SecretString>,
    }
    let wrong = |message: &str| Wrong::new("invalid_type", OVERRIDE, message);
    let given: Option<Given> = serde_json::from_value(given).map_err(|_| {
        wrong("must be an object of the texts client_id and client_secret, and nothing else")
    })?;
    let Some(Given {
        client_id,
        client_secret,
    }) = given
    else {
        return Ok(None);
    };
    let client_secret = client_secret.filter(|secret| !secret.expose_secret().is_empty());
    match client_id.filter(|id| !id.is_empty()) {
        None if client_secret.is_some() => Err(wrong("has a client_secret and no client_id")),
        None => Ok(None),
        Some(_) if client_secret.is_none() && kind != AuthMode::OAuth2 => {
            Err(wrong("has no client_secret, by which calls are signed"))
        }
        Some(client_id) => Ok(Some(OwnClient {
            client_id,
            client_secret,
        })),
    }
}

fn tokens(
    fields: &BTreeMap<String, String>,
    own_client: Option<OwnClient>,
) -> Result<Tokens, Wrong> {
    let raw = serde_json::json!(fields);
    let fields = &mut fields.clone();
    Ok(Tokens {
        own_client,
        mcp: None,
        expires_at: expires_at(fields)?,
        access_token: secret(fields, "access_token").unwrap_or_default(),
        refresh_token: secret(fields, "refresh_token"),
        issued_at: Utc::now(),
        raw,
    })
}

#[cfg(test)]
mod tests;
