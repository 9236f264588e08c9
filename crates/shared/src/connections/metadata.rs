//! What the product stores with its connections.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_api::connections::Object;

use super::live::{self, LiveKey};
use super::store::{metadata_context, unknown};
use crate::db::schema::connections;
use crate::integrations::{self, Integration};
use crate::tenancy::EnvironmentId;
use crate::vault::EnvironmentKeys;
use crate::{Core, Error, db, limits};

/// Most connections that one call changes.
const MOST_CONNECTIONS: usize = 1_000;

/// How new metadata meets what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It takes the place of all of it.
    Replace,
    /// Its top-level fields take the place of those of the same name.
    Merge,
}

/// Writes metadata to connections of one integration: to all of them or to
/// none. Of merges that happen at once none is lost.
///
/// # Errors
/// [`Error::UnknownIntegration`]; [`Error::UnknownConnection`] names the first
/// id that there is none of; [`Error::Invalid`] for metadata or a list that is
/// too large.
pub async fn write(
    core: &Core,
    environment: EnvironmentId,
    unique_key: &str,
    ids: &[String],
    metadata: &Object,
    change: Change,
) -> Result<(), Error> {
    limits::metadata(metadata)?;
    if ids.is_empty() || ids.len() > MOST_CONNECTIONS {
        let message = format!("must have 1 to {MOST_CONNECTIONS} ids");
        return Err(Error::invalid_body("too_big", message, &["connection_id"]));
    }
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let integration = integrations::get(&mut conn, &keys, environment, unique_key).await?;
    conn.transaction(async |conn| {
        let rows = lock(conn, &integration, ids).await?;
        for (id, _, sealed) in rows {
            let metadata = match change {
                Change::Replace => metadata.clone(),
                Change::Merge => merged(&keys, id, &sealed, metadata)?,
            };
            set(conn, &keys, environment, id, &metadata).await?;
        }
        Ok::<_, Error>(())
    })
    .await?;
    drop(conn);
    for id in ids {
        live::forget(core, &LiveKey::new(environment, unique_key, id)).await;
    }
    Ok(())
}

type Locked = (i64, String, Vec<u8>);

/// Locks the rows in the order of their numbers, so that two calls that name
/// the same connections do not wait for each other in a circle.
async fn lock(
    conn: &mut db::Connection,
    integration: &Integration,
    ids: &[String],
) -> Result<Vec<Locked>, Error> {
    let rows: Vec<Locked> = connections::table
        .filter(connections::environment_id.eq(integration.environment_id))
        .filter(connections::integration_id.eq(integration.id))
        .filter(connections::connection_id.eq_any(ids))
        .order(connections::id)
        .select((
            connections::id,
            connections::connection_id,
            connections::metadata,
        ))
        .for_update()
        .load(conn)
        .await?;
    let found: std::collections::HashSet<&str> =
        rows.iter().map(|(_, id, _)| id.as_str()).collect();
    match ids.iter().find(|id| !found.contains(id.as_str())) {
        Some(missing) => Err(unknown(integration, missing)),
        None => Ok(rows),
    }
}

fn merged(
    keys: &EnvironmentKeys,
    id: i64,
    sealed: &[u8],
    change: &Object,
) -> Result<Object, Error> {
    let stored: Option<Object> = keys.open_json(&metadata_context(&id.to_be_bytes()), sealed)?;
    let mut metadata = stored.unwrap_or_default();
    metadata.extend(change.clone());
    limits::metadata(&metadata)?;
    Ok(metadata)
}

/// Sets the metadata of one connection.
pub(super) async fn set(
    conn: &mut db::Connection,
    keys: &EnvironmentKeys,
    environment: EnvironmentId,
    id: i64,
    metadata: &Object,
) -> Result<(), Error> {
    let sealed = keys.seal_json(&metadata_context(&id.to_be_bytes()), metadata)?;
    diesel::update(connections::table.find((environment, id)))
        .set((
            connections::metadata.eq(sealed),
            connections::updated_at.eq(diesel::dsl::now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}
