//! Connections whose credentials come from elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use diesel_async::AsyncConnection;
use linkspan_api::FieldError;
use linkspan_api::connections::{ConnectionEndUser, ImportConnection, Object};
use linkspan_auth::{Credentials, OwnClient, SECRET_OVERRIDE, oauth2};
use linkspan_providers::{AuthMode, Config, Template};
use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;

use super::configuration::{self, Place};
use super::live::{self, Live, LiveKey};
use super::{NewConnection, begin, metadata, store, verify};
use crate::integrations::{self, Integration};
use crate::logs::{Kind, Level, Operation};
use crate::tenancy::EnvironmentId;
use crate::{Core, Error, limits};

/// The fields of one type of credentials, besides `type`.
struct Form {
    mode: AuthMode,
    required: &'static [&'static str],
    optional: &'static [&'static str],
}

/// The types of credentials that can be imported.
const FORMS: &[Form] = &[
    Form {
        mode: AuthMode::OAuth2,
        required: &["access_token"],
        optional: &["refresh_token", "expires_at"],
    },
    Form {
        mode: AuthMode::ApiKey,
        required: &["apiKey"],
        optional: &[],
    },
    Form {
        mode: AuthMode::Basic,
        required: &["username", "password"],
        optional: &[],
    },
    Form {
        mode: AuthMode::None,
        required: &[],
        optional: &[],
    },
];

/// Stores a connection with credentials that the product has already. One of
/// the same id gets these credentials, labels and end user, and keeps its
/// metadata unless there is new metadata.
///
/// # Errors
/// [`Error::UnknownIntegration`]; [`Error::Invalid`] by the path of what does
/// not fit the integration; [`Error::ConnectionTest`] when the provider refuses
/// the credentials.
pub async fn import(
    core: &Core,
    environment: EnvironmentId,
    request: ImportConnection,
) -> Result<Live, Error> {
    let keys = core.vault.environment(environment).await?;
    let integration = {
        let mut conn = core.db.conn().await?;
        let unique_key = &request.provider_config_key;
        integrations::get(&mut conn, &keys, environment, unique_key).await?
    };
    let template = core.template(&integration.provider)?;
    let metadata = request.metadata.clone();
    let new = checked(request, &template)?;
    verify(core, &template, &integration, &new).await?;
    let mut conn = core.db.conn().await?;
    let connection = conn
        .transaction(async |conn| {
            let mut stored = store::upsert(conn, &keys, &integration, &template, &new).await?;
            if let Some(metadata) = metadata {
                metadata::set(conn, &keys, environment, stored.id, &metadata).await?;
                stored.metadata = metadata.into();
            }
            Ok::<_, Error>(stored)
        })
        .await?;
    drop(conn);
    let key = LiveKey::new(
        environment,
        &integration.unique_key,
        &connection.connection_id,
    );
    live::forget(core, &key).await;
    let mut operation = Operation::begin(environment, Kind::Auth, "import").about(
        &integration.unique_key,
        &integration.provider,
        &connection.connection_id,
    );
    operation.say(Level::Info, "Connection imported");
    core.logs.write(operation);
    Ok(Live {
        integration: Arc::new(integration),
        template,
        connection,
    })
}

/// An access token that has expired cannot be tried; its refresh token is spent
/// at the first use.
async fn verify(
    core: &Core,
    template: &Template,
    integration: &Integration,
    new: &NewConnection,
) -> Result<(), Error> {
    if new
        .credentials
        .expires_at()
        .is_some_and(|at| at <= Utc::now())
    {
        return Ok(());
    }
    let config = Config {
        template,
        connection: &new.connection_config,
        integration: &integration.config,
    };
    let client = begin::client(integration, &config).ok();
    verify::credentials(core, &config, client.as_ref(), &new.credentials).await
}

fn checked(request: ImportConnection, template: &Template) -> Result<NewConnection, Error> {
    if let Some(metadata) = &request.metadata {
        limits::metadata(metadata)?;
    }
    limits::webhook_url(request.webhook_url_override.as_deref())?;
    if request.connection_config.contains_key(SECRET_OVERRIDE) {
        let message = "belongs in credentials.config_override, where it is sealed";
        let path = ["connection_config", SECRET_OVERRIDE];
        return Err(Error::invalid_body("custom", message, &path));
    }
    let connection_id = match request.connection_id {
        Some(id) => {
            limits::connection_id(&id)?;
            id
        }
        None => Uuid::new_v4().to_string(),
    };
    let end_user = request.end_user.map(limits::end_user).transpose()?;
    let connection_config = configuration::given(template, request.connection_config, Place::BODY)?;
    configuration::complete(template, &connection_config, &[], Place::BODY)?;
    Ok(NewConnection {
        connection_id,
        credentials: credentials(request.credentials, template)?,
        connection_config,
        tags: limits::tags(request.tags, &["tags"])?,
        end_user: end_user.map(|user| ConnectionEndUser {
            id: user.id,
            display_name: user.display_name,
            email: user.email,
            tags: user.tags,
            organization: None,
        }),
        webhook_url_override: request.webhook_url_override,
    })
}

fn credentials(mut given: Object, template: &Template) -> Result<Credentials, Error> {
    let kind = given.remove("type");
    let kind = kind.as_ref().and_then(Value::as_str).unwrap_or_default();
    let form = FORMS
        .iter()
        .find(|form| form.mode.to_string() == kind)
        .ok_or_else(|| {
            let names: Vec<_> = FORMS.iter().map(|form| form.mode.to_string()).collect();
            wrong(
                "invalid_union",
                format!("must be one of {}", names.join(", ")),
                "type",
            )
        })?;
    if form.mode != template.auth_mode {
        let (slug, mode) = (&template.slug, template.auth_mode);
        let message = format!("provider '{slug}' authenticates by {mode}");
        return Err(wrong("invalid_union", message, "type"));
    }
    if form.mode == AuthMode::OAuth2 {
        let own_client = given
            .remove("config_override")
            .map(own_client)
            .transpose()?;
        return tokens(&form.read(given)?, own_client).map(Credentials::OAuth2);
    }
    let fields = form.read(given)?;
    linkspan_auth::accept(template, &fields)
        .map_err(|refused| wrong("invalid_string", refused.to_string(), &refused.field))
}

fn wrong(kind: &str, message: impl Into<String>, field: &str) -> Error {
    Error::invalid_body(kind, message, &["credentials", field])
}

impl Form {
    /// The fields, all of them known, texts, and there if they must be.
    fn read(&self, given: Object) -> Result<BTreeMap<String, String>, Error> {
        let mut fields = BTreeMap::new();
        let mut mistakes = Vec::new();
        let mut mistake = |kind, message, name: &str| {
            mistakes.push(FieldError::new(kind, message, &["credentials", name]));
        };
        for (name, value) in given {
            let is_optional = self.optional.contains(&name.as_str());
            match value {
                _ if !is_optional && !self.required.contains(&name.as_str()) => {
                    mistake("unrecognized_keys", "unknown field", &name);
                }
                Value::Null if is_optional => {}
                Value::String(text) => {
                    fields.insert(name, text);
                }
                _ => mistake("invalid_type", "must be a string", &name),
            }
        }
        for name in self.required {
            if fields.get(*name).is_none_or(String::is_empty) {
                mistake("invalid_type", "Required", name);
            }
        }
        match mistakes.is_empty() {
            true => Ok(fields),
            false => Err(Error::Invalid {
                code: linkspan_api::ErrorCode::InvalidBody,
                fields: mistakes,
            }),
        }
    }
}

/// `config_override`: the OAuth client that the tokens were given to, if it is
/// not the integration's.
fn own_client(given: Value) -> Result<OwnClient, Error> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Given {
        client_id: String,
        client_secret: SecretString,
    }
    let given: Given = serde_json::from_value(given).map_err(|_| {
        let message = "must have client_id and client_secret, and nothing else";
        wrong("invalid_type", message, "config_override")
    })?;
    Ok(OwnClient {
        client_id: given.client_id,
        client_secret: Some(given.client_secret),
    })
}

fn tokens(
    fields: &BTreeMap<String, String>,
    own_client: Option<OwnClient>,
) -> Result<oauth2::Tokens, Error> {
    let text = |name| {
        fields
            .get(name)
            .cloned()
            .filter(|text: &String| !text.is_empty())
    };
    let secret = |name| text(name).map(SecretString::from);
    let expires_at = text("expires_at")
        .map(|text| DateTime::parse_from_rfc3339(&text))
        .transpose()
        .map_err(|error| wrong("invalid_string", error.to_string(), "expires_at"))?;
    Ok(oauth2::Tokens {
        own_client,
        access_token: secret("access_token").unwrap_or_default(),
        refresh_token: secret("refresh_token"),
        expires_at: expires_at.map(|at| at.with_timezone(&Utc)),
        issued_at: Utc::now(),
        raw: serde_json::json!(fields),
    })
}
