//! API keys: UUIDs, shown once, stored as SHA-256, with scopes.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_api::environments::CreateApiKey;
use linkspan_api::{Scope, Scopes};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::EnvironmentId;
use super::environments::{self as tenants, Environment};
use crate::db::schema::{api_keys, environments};
use crate::db::{Connection, Error};
use crate::{Core, token};

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

/// Gives a key other scopes.
///
/// # Errors
/// When the database fails.
pub async fn set_scopes(
    conn: &mut Connection,
    environment: EnvironmentId,
    key: &SecretString,
    scopes: Scopes,
) -> Result<(), Error> {
    diesel::update(api_keys::table)
        .filter(api_keys::environment_id.eq(environment))
        .filter(api_keys::hash.eq(token::hash(key.expose_secret())))
        .set(api_keys::scopes.eq(scopes.names()))
        .execute(conn)
        .await?;
    Ok(())
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

/// A key that was just made.
#[derive(Debug)]
pub struct Issued {
    /// What the API names it by.
    pub number: i64,
    /// What people see.
    pub name: String,
    /// What it may do.
    pub scopes: Scopes,
    /// The key itself, which is stored nowhere.
    pub secret: SecretString,
    /// When it was made.
    pub created_at: DateTime<Utc>,
}

/// Longest name, in characters (the contract's limit).
const LONGEST_NAME: usize = 255;

/// Makes a key for an environment of the account, with no other scopes than
/// `grantable`; without a wish it gets all of its environment.
///
/// # Errors
/// [`crate::Error::UnknownEnvironment`]; [`crate::Error::Conflict`] when the
/// environment has a key of this name; [`crate::Error::Invalid`] for a name or
/// a scope that cannot be.
pub async fn issue(
    core: &Core,
    account_id: Uuid,
    grantable: Scopes,
    request: CreateApiKey,
) -> Result<Issued, crate::Error> {
    let name = request.display_name;
    let length = name.chars().count();
    if length == 0 || length > LONGEST_NAME || name.chars().any(char::is_control) {
        let message = "must be 1 to 255 characters, without control characters";
        return Err(crate::Error::invalid_body(
            "invalid_string",
            message,
            &["display_name"],
        ));
    }
    let scopes = match request.scopes {
        Some(names) => parse(&names, grantable)?,
        None => Scopes::environment(),
    };
    let mut conn = core.db.conn().await?;
    conn.transaction(async |conn| {
        // The environment's row is locked, so that of two keys with one name
        // the second finds the first.
        let environment = tenants::of_account(conn, account_id, request.environment_id).await?;
        let taken: i64 = api_keys::table
            .filter(api_keys::environment_id.eq(environment.id))
            .filter(api_keys::name.eq(&name))
            .filter(api_keys::deleted_at.is_null())
            .count()
            .get_result(conn)
            .await?;
        if taken > 0 {
            return Err(crate::Error::Conflict("an API key"));
        }
        let secret = create(conn, environment.id, &name, scopes).await?;
        let (number, created_at) = api_keys::table
            .filter(api_keys::hash.eq(token::hash(secret.expose_secret())))
            .select((api_keys::number, api_keys::created_at))
            .first(conn)
            .await?;
        Ok(Issued {
            number,
            name,
            scopes,
            secret,
            created_at,
        })
    })
    .await
}

fn parse(names: &[String], grantable: Scopes) -> Result<Scopes, crate::Error> {
    let mut scopes = Vec::new();
    for (at, name) in names.iter().enumerate() {
        let scope = Scope::parse(name).filter(|&scope| grantable.contains(scope));
        scopes.push(scope.ok_or_else(|| {
            let path = ["scopes", &at.to_string()];
            let message = "must be a scope of an environment, or one that the caller has";
            crate::Error::invalid_body("invalid_enum_value", message, &path)
        })?);
    }
    Ok(scopes.into_iter().collect())
}

/// Ends a key of an environment of the account.
///
/// # Errors
/// [`crate::Error::UnknownEnvironment`] and [`crate::Error::UnknownApiKey`].
pub async fn revoke(
    core: &Core,
    account_id: Uuid,
    environment: i64,
    number: i64,
) -> Result<(), crate::Error> {
    let mut conn = core.db.conn().await?;
    conn.transaction(async |conn| {
        let environment = tenants::of_account(conn, account_id, environment).await?;
        let revoked = diesel::update(api_keys::table)
            .filter(api_keys::environment_id.eq(environment.id))
            .filter(api_keys::number.eq(number))
            .filter(api_keys::deleted_at.is_null())
            .set(
                api_keys::deleted_at.eq(diesel::dsl::now
                    .into_sql::<sql_types::Timestamptz>()
                    .nullable()),
            )
            .execute(conn)
            .await?;
        match revoked {
            0 => Err(crate::Error::UnknownApiKey(number)),
            _ => Ok(()),
        }
    })
    .await?;
    core.forget_callers();
    Ok(())
}
