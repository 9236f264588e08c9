//! The first account, on an empty database.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_api::Scopes;
use secrecy::SecretString;
use uuid::Uuid;

use super::EnvironmentId;
use super::api_keys;
use super::environments::{Environment, NewEnvironment};
use crate::Error;
use crate::db::schema::accounts;
use crate::db::{Connection, Database};
use crate::vault::Vault;

/// The environments that every account starts with: name, is it production.
const ENVIRONMENTS: [(&str, bool); 2] = [("dev", false), ("prod", true)];

/// An environment with its first key, which is shown now and never again.
#[derive(Debug)]
pub struct FirstKey {
    /// The environment.
    pub environment: Environment,
    /// A key with every scope.
    pub api_key: SecretString,
}

/// Creates the account, its environments `dev` and `prod`, a data key and an
/// API key for each. Answers `None`, and changes nothing, if there is an
/// account already.
///
/// # Errors
/// When the database fails or a key cannot be made; nothing is stored then.
pub async fn run(
    db: &Database,
    vault: &Vault,
    account: &str,
) -> Result<Option<Vec<FirstKey>>, Error> {
    let mut conn = db.conn().await?;
    conn.transaction(async |conn| {
        // Two bootstraps at once: the second waits, then finds the account.
        diesel::sql_query("LOCK TABLE accounts IN SHARE ROW EXCLUSIVE MODE")
            .execute(conn)
            .await?;
        let existing: i64 = accounts::table.count().get_result(conn).await?;
        if existing > 0 {
            return Ok(None);
        }
        let account_id = insert_account(conn, account).await?;
        let mut keys = Vec::new();
        for (name, is_production) in ENVIRONMENTS {
            keys.push(create_environment(conn, vault, account_id, name, is_production).await?);
        }
        Ok(Some(keys))
    })
    .await
}

async fn insert_account(conn: &mut Connection, name: &str) -> Result<Uuid, Error> {
    let id = Uuid::now_v7();
    diesel::insert_into(accounts::table)
        .values((accounts::id.eq(id), accounts::name.eq(name)))
        .execute(conn)
        .await?;
    Ok(id)
}

async fn create_environment(
    conn: &mut Connection,
    vault: &Vault,
    account_id: Uuid,
    name: &str,
    is_production: bool,
) -> Result<FirstKey, Error> {
    let new = NewEnvironment {
        id: EnvironmentId(Uuid::now_v7()),
        account_id,
        name,
        is_production,
        public_key: Uuid::new_v4(),
        hmac_required: is_production,
    };
    let environment = new.insert(conn).await?;
    vault.create(conn, environment.id).await?;
    let api_key = api_keys::create(conn, environment.id, "default", Scopes::all()).await?;
    Ok(FirstKey {
        environment,
        api_key,
    })
}
