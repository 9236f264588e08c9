//! API keys: UUIDs, shown once, stored as SHA-256, with scopes.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_api::{Scope, Scopes};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::EnvironmentId;
use super::environments::Environment;
use crate::db::schema::{api_keys, environments};
use crate::db::{Connection, Error};
use crate::token;

/// Who calls: an environment, and what the key may do there.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The environment that the key opens.
    pub environment: Environment,
    /// What the key may do.
    pub scopes: Scopes,
}

/// Makes a key and stores its hash. The text is returned here and nowhere else.
///
/// # Errors
/// When the database fails.
pub async fn create(
    conn: &mut Connection,
    environment: EnvironmentId,
    name: &str,
    scopes: Scopes,
) -> Result<SecretString, Error> {
    let text = Uuid::new_v4().to_string();
    diesel::insert_into(api_keys::table)
        .values((
            api_keys::environment_id.eq(environment),
            api_keys::id.eq(Uuid::now_v7()),
            api_keys::name.eq(name),
            api_keys::hash.eq(token::hash(&text)),
            api_keys::scopes.eq(scopes.names()),
        ))
        .execute(conn)
        .await?;
    Ok(text.into())
}

/// The caller that a key belongs to. One of the queries that find the
/// environment rather than take it.
///
/// # Errors
/// When the database fails.
pub async fn authenticate(
    conn: &mut Connection,
    key: &SecretString,
) -> Result<Option<Caller>, Error> {
    let row = api_keys::table
        .inner_join(environments::table.on(environments::id.eq(api_keys::environment_id)))
        .filter(api_keys::hash.eq(token::hash(key.expose_secret())))
        .filter(api_keys::deleted_at.is_null())
        .select((Environment::as_select(), api_keys::scopes))
        .first::<(Environment, Vec<String>)>(conn)
        .await
        .optional()?;
    Ok(row.map(|(environment, scopes)| Caller {
        environment,
        scopes: scopes
            .iter()
            .filter_map(|name| Scope::parse(name))
            .collect(),
    }))
}
