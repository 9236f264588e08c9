//! Checkpoints: how far a function has come with a connection.
//!
//! Who saves one names the version that it read, so that of two who read the same
//! only one saves; and of a sync's runs only the one that holds its fence.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Jsonb, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use linkspan_shared::db::Connection;
use linkspan_shared::db::schema::checkpoints;
use linkspan_shared::tenancy::EnvironmentId;
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::Error;

/// The largest checkpoint, in bytes of JSON.
const MOST_BYTES: usize = 65_536;

/// A checkpoint as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct Checkpoint {
    /// Strings, numbers and booleans.
    pub value: Map<String, Value>,
    /// Another one after each change.
    pub version: i64,
}

/// Whose checkpoint, and who may write it.
#[derive(Debug, Clone, Copy)]
pub struct Key<'a> {
    /// The environment.
    pub environment: EnvironmentId,
    /// The connection's internal number.
    pub connection: i64,
    /// Its key among those of the connection.
    pub key: &'a str,
}

/// The run of a sync that writes: refused when it is not the sync's any more.
#[derive(Debug, Clone, Copy)]
pub struct Holder {
    /// The sync.
    pub sync: Uuid,
    /// The fence of its run.
    pub fence: i64,
}

#[derive(QueryableByName)]
struct Written {
    #[diesel(sql_type = BigInt)]
    version: i64,
}

/// Reads a checkpoint.
///
/// # Errors
/// When the database fails.
pub async fn get(conn: &mut Connection, of: Key<'_>) -> Result<Option<Checkpoint>, Error> {
    let row: Option<(Value, i64)> = checkpoints::table
        .find((of.environment, of.connection, of.key))
        .select((checkpoints::value, checkpoints::version))
        .first(conn)
        .await
        .optional()?;
    let Some((value, version)) = row else {
        return Ok(None);
    };
    match value {
        Value::Object(value) => Ok(Some(Checkpoint { value, version })),
        _ => Err(Error::Stored {
            what: "checkpoint",
            cause: "it is no object".to_owned(),
        }),
    }
}

/// Saves a checkpoint in place of the one whose version was read, or where there
/// was none. Its version.
///
/// # Errors
/// [`Error::InvalidCheckpoint`], [`Error::CheckpointMoved`], [`Error::Stale`].
pub async fn save(
    conn: &mut Connection,
    of: Key<'_>,
    holder: Holder,
    value: &Map<String, Value>,
    read: Option<i64>,
) -> Result<i64, Error> {
    check(value)?;
    // Locked, the sync's row lets no later run begin before this is stored.
    const HELD: &str = "WITH held AS (SELECT id FROM syncs \
        WHERE environment_id = $1 AND id = $4 AND run_fence = $5 FOR SHARE)";
    let statement = match read {
        None => format!(
            "{HELD} INSERT INTO checkpoints (environment_id, connection, key, value, version) \
             SELECT $1, $2, $3, $6, nextval('checkpoint_versions') + 0 * $7 FROM held \
             ON CONFLICT DO NOTHING RETURNING version"
        ),
        Some(_) => format!(
            "{HELD} UPDATE checkpoints SET value = $6, version = nextval('checkpoint_versions'), \
                updated_at = now() \
             FROM held WHERE environment_id = $1 AND connection = $2 AND key = $3 \
                AND version = $7 RETURNING version"
        ),
    };
    let written: Option<Written> = diesel::sql_query(statement)
        .bind::<SqlUuid, _>(of.environment)
        .bind::<BigInt, _>(of.connection)
        .bind::<Text, _>(of.key)
        .bind::<SqlUuid, _>(holder.sync)
        .bind::<BigInt, _>(holder.fence)
        .bind::<Jsonb, _>(Value::Object(value.clone()))
        .bind::<BigInt, _>(read.unwrap_or(0))
        .get_result(conn)
        .await
        .optional()?;
    match written {
        Some(written) => Ok(written.version),
        None => Err(refused(conn, of.environment, holder).await?),
    }
}

/// Deletes the checkpoint whose version was read.
///
/// # Errors
/// [`Error::CheckpointMoved`], [`Error::Stale`].
pub async fn clear(
    conn: &mut Connection,
    of: Key<'_>,
    holder: Holder,
    read: i64,
) -> Result<(), Error> {
    let deleted = diesel::sql_query(
        "WITH held AS (SELECT id FROM syncs \
            WHERE environment_id = $1 AND id = $4 AND run_fence = $5 FOR SHARE) \
         DELETE FROM checkpoints USING held \
         WHERE environment_id = $1 AND connection = $2 AND key = $3 AND version = $6",
    )
    .bind::<SqlUuid, _>(of.environment)
    .bind::<BigInt, _>(of.connection)
    .bind::<Text, _>(of.key)
    .bind::<SqlUuid, _>(holder.sync)
    .bind::<BigInt, _>(holder.fence)
    .bind::<BigInt, _>(read)
    .execute(conn)
    .await?;
    match deleted {
        0 => Err(refused(conn, of.environment, holder).await?),
        _ => Ok(()),
    }
}

/// Why nothing was written.
async fn refused(
    conn: &mut Connection,
    environment: EnvironmentId,
    holder: Holder,
) -> Result<Error, Error> {
    use linkspan_shared::db::schema::syncs;
    let held = syncs::table
        .find((environment, holder.sync))
        .filter(syncs::run_fence.eq(holder.fence));
    let is_held: bool = diesel::select(diesel::dsl::exists(held))
        .get_result(conn)
        .await?;
    Ok(match is_held {
        true => Error::CheckpointMoved,
        false => Error::Stale,
    })
}

fn check(value: &Map<String, Value>) -> Result<(), Error> {
    let wrong = |reason: String| Err(Error::InvalidCheckpoint(reason));
    for (name, field) in value {
        if !matches!(field, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
            return wrong(format!("{name} must be a string, a number or a boolean"));
        }
        let text = field.as_str().unwrap_or_default();
        if name.contains('\0') || text.contains('\0') {
            return wrong("it has a NUL character".to_owned());
        }
    }
    let bytes = serde_json::to_string(value).map_or(usize::MAX, |text| text.len());
    match bytes > MOST_BYTES {
        true => wrong(format!(
            "it has {bytes} bytes, and {MOST_BYTES} are the most"
        )),
        false => Ok(()),
    }
}
