//! Environments: an account's separate sets of integrations and connections.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use super::EnvironmentId;
use crate::db::schema::environments;
use crate::db::{Connection, Error};

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
