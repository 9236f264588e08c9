//! Environments: an account's separate sets of integrations and connections.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_api::environments::CreateEnvironment;
use secrecy::SecretString;
use uuid::Uuid;

use super::EnvironmentId;
use super::end_jobs::EndJobs;
use crate::db::schema::environments;
use crate::db::{Connection, Error};
use crate::{Core, public_key};

/// An environment's row.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = environments)]
pub struct Environment {
    /// Its id.
    pub id: EnvironmentId,
    /// The account that owns it.
    pub account_id: Uuid,
    /// Its name, unique in the account, such as `dev`.
    pub name: String,
    /// Whether it serves the account's real customers.
    pub is_production: bool,
    /// What browsers name it by; not a secret.
    pub public_key: Uuid,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// What the API names it by.
    pub number: i64,
}

/// A new environment.
#[derive(Debug, Insertable)]
#[diesel(table_name = environments)]
pub struct NewEnvironment<'a> {
    /// Its id.
    pub id: EnvironmentId,
    /// The account that owns it.
    pub account_id: Uuid,
    /// Its name, unique in the account.
    pub name: &'a str,
    /// Whether it serves the account's real customers.
    pub is_production: bool,
    /// What browsers name it by.
    pub public_key: Uuid,
    /// Whether those who come with the public key prove who sent them.
    pub hmac_required: bool,
}

impl NewEnvironment<'_> {
    /// Stores the environment.
    ///
    /// # Errors
    /// When the database fails, or the account has one of this name.
    pub async fn insert(&self, conn: &mut Connection) -> Result<Environment, Error> {
        Ok(diesel::insert_into(environments::table)
            .values(self)
            .returning(Environment::as_returning())
            .get_result(conn)
            .await?)
    }
}

impl Environment {
    /// Every environment, oldest first; for operators' commands.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn all(conn: &mut Connection) -> Result<Vec<Self>, Error> {
        Ok(environments::table
            .order(environments::created_at)
            .select(Self::as_select())
            .load(conn)
            .await?)
    }

    /// The environment of a public key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_public_key(conn: &mut Connection, key: Uuid) -> Result<Option<Self>, Error> {
        Ok(environments::table
            .filter(environments::public_key.eq(key))
            .select(Self::as_select())
            .first(conn)
            .await
            .optional()?)
    }

    /// The environment of an id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_id(conn: &mut Connection, id: EnvironmentId) -> Result<Option<Self>, Error> {
        Ok(environments::table
            .find(id)
            .select(Self::as_select())
            .first(conn)
            .await
            .optional()?)
    }
}

/// The environment that every account keeps.
const KEPT: &str = "prod";
/// Longest name, in characters (the contract's limit).
const LONGEST_NAME: usize = 255;
/// Longest HMAC key, in characters (the contract's limit).
const LONGEST_HMAC_KEY: usize = 1_000;

/// Creates an environment, with a data key and without an API key.
///
/// # Errors
/// [`crate::Error::Invalid`] for a name that cannot be, and
/// [`crate::Error::Conflict`] for one that the account has already.
pub async fn create(
    core: &Core,
    account_id: Uuid,
    request: &CreateEnvironment,
) -> Result<Environment, crate::Error> {
    let name = request.name.as_str();
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if name.is_empty() || name.len() > LONGEST_NAME || !name.chars().all(is_allowed) {
        let message = "must be 1 to 255 of a-z, 0-9, _ and -";
        return Err(crate::Error::invalid_body(
            "invalid_string",
            message,
            &["name"],
        ));
    }
    let new = NewEnvironment {
        id: EnvironmentId(Uuid::now_v7()),
        account_id,
        name,
        is_production: request.is_production,
        public_key: Uuid::new_v4(),
        hmac_required: request.hmac_enabled.unwrap_or(request.is_production),
    };
    let key = request.hmac_key.as_deref().map(hmac_key).transpose()?;
    let mut conn = core.db.conn().await?;
    let created = conn
        .transaction(async |conn| {
            let created =
                new.insert(conn)
                    .await
                    .map_err(|error| match error.is_unique_violation() {
                        true => crate::Error::Conflict("an environment"),
                        false => error.into(),
                    })?;
            core.vault.create(conn, created.id).await?;
            Ok::<_, crate::Error>(created)
        })
        .await?;
    drop(conn);
    if let Some(key) = key {
        // Until then an HMAC that is required is one that nobody can make.
        if let Err(error) = public_key::set(&core.db, &core.vault, created.id, &key).await {
            delete(core, account_id, created.number).await?;
            return Err(error);
        }
    }
    Ok(created)
}

fn hmac_key(key: &str) -> Result<SecretString, crate::Error> {
    if key.is_empty() || key.chars().count() > LONGEST_HMAC_KEY {
        let message = format!("must have 1 to {LONGEST_HMAC_KEY} characters");
        return Err(crate::Error::invalid_body(
            "invalid_string",
            message,
            &["hmac_key"],
        ));
    }
    Ok(key.into())
}

/// The environment of a number, if it is the account's.
///
/// # Errors
/// [`crate::Error::UnknownEnvironment`].
pub(super) async fn of_account(
    conn: &mut Connection,
    account_id: Uuid,
    number: i64,
) -> Result<Environment, crate::Error> {
    environments::table
        .filter(environments::account_id.eq(account_id))
        .filter(environments::number.eq(number))
        .select(Environment::as_select())
        .for_update()
        .first(conn)
        .await
        .optional()?
        .ok_or(crate::Error::UnknownEnvironment(number))
}

/// Deletes an environment with all that is in it: its API keys, integrations
/// and connections, and the data key without which no backup of them opens. Its
/// jobs and schedules end a moment later, by a job of their own.
///
/// # Errors
/// [`crate::Error::UnknownEnvironment`], and
/// [`crate::Error::ProductionEnvironment`] for `prod`.
pub async fn delete(core: &Core, account_id: Uuid, number: i64) -> Result<(), crate::Error> {
    let mut conn = core.db.conn().await?;
    conn.transaction(async |conn| {
        let environment = of_account(conn, account_id, number).await?;
        if environment.name == KEPT {
            return Err(crate::Error::ProductionEnvironment);
        }
        diesel::delete(environments::table.find(environment.id))
            .execute(conn)
            .await?;
        let end = EndJobs {
            environment: environment.id,
        };
        Ok(end.enqueue(conn).await?)
    })
    .await?;
    core.jobs.wake();
    core.forget_callers();
    Ok(())
}
