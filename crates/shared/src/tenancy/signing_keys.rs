//! What webhooks to the product are signed with: one key for each environment,
//! sealed, and apart from its API keys.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use super::EnvironmentId;
use crate::db::Connection;
use crate::db::schema::webhook_signing_keys;
use crate::vault::{Context, EnvironmentKeys};
use crate::{Core, Error, token};

fn context(id: &Uuid) -> Context<'_> {
    Context {
        table: "webhook_signing_keys",
        column: "key",
        row: id.as_bytes(),
    }
}

/// Makes a new key in place of the one there is, and gives it: 64 hexadecimal
/// digits. Webhooks are signed with it from now on.
///
/// # Errors
/// When the database or the system's randomness fails; the old key stays then.
pub async fn rotate(core: &Core, environment: EnvironmentId) -> Result<SecretString, Error> {
    let keys = core.vault.environment(environment).await?;
    let id = Uuid::now_v7();
    let text: SecretString = token::random_hex::<32>()?.into();
    let sealed = keys.seal(&context(&id), text.expose_secret().as_bytes())?;
    let row = (
        webhook_signing_keys::id.eq(id),
        webhook_signing_keys::key.eq(sealed),
        webhook_signing_keys::created_at.eq(diesel::dsl::now),
    );
    diesel::insert_into(webhook_signing_keys::table)
        .values((
            webhook_signing_keys::environment_id.eq(environment),
            row.clone(),
        ))
        .on_conflict(webhook_signing_keys::environment_id)
        .do_update()
        .set(row)
        .execute(&mut core.db.conn().await?)
        .await?;
    Ok(text)
}

/// The key that webhooks are signed with, if one was made.
///
/// # Errors
/// When the database fails or the key cannot be opened.
pub async fn current(
    conn: &mut Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
) -> Result<Option<SecretString>, Error> {
    let row: Option<(Uuid, Vec<u8>)> = webhook_signing_keys::table
        .filter(webhook_signing_keys::environment_id.eq(environment))
        .select((webhook_signing_keys::id, webhook_signing_keys::key))
        .first(conn)
        .await
        .optional()?;
    let Some((id, sealed)) = row else {
        return Ok(None);
    };
    let text = keys.open(&context(&id), &sealed)?;
    Ok(Some(String::from_utf8_lossy(&text).into_owned().into()))
}
