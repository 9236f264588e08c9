//! Variants: further syncs of one function and connection, with records and a
//! checkpoint of their own; and how a sync is deleted.

use diesel::prelude::*;
use diesel::sql_types::Uuid as SqlUuid;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_jobs::schedules;
use linkspan_records::{BASE, Store, StreamName};
use linkspan_shared::Core;
use linkspan_shared::db::Connection;
use linkspan_shared::db::schema::{checkpoints, sync_functions, syncs};
use linkspan_shared::logs::{Kind, Level, Operation};
use linkspan_shared::tenancy::EnvironmentId;
use uuid::Uuid;

use crate::Error;
use crate::arrange::{function, make};
use crate::functions::Recorded;
use crate::select::{Name, Scope, connection, integration};
use crate::sync::{LEAVING, Leave, Sync, checkpoint_key};

/// Variants that one connection may have of one function.
const MOST: i64 = 100;

/// Makes a variant of a connection's sync. It starts as its function says. Its
/// number.
///
/// # Errors
/// [`Error::ProtectedVariant`], [`Error::UnknownSync`], [`Error::VariantExists`],
/// [`Error::VariantIsLeaving`], [`Error::TooManyVariants`], and those of the
/// connection.
pub async fn create(
    core: &Core,
    environment: EnvironmentId,
    (unique_key, connection_id): (&str, &str),
    name: &Name,
) -> Result<Uuid, Error> {
    check(name)?;
    let mut conn = core.db.conn().await?;
    let id = conn
        .transaction(async |conn| {
            let integration = integration(conn, environment, unique_key).await?;
            let of = (integration, unique_key);
            let connection = connection(conn, environment, of, connection_id).await?;
            let function = function(conn, environment, integration, &name.name)
                .await?
                .ok_or_else(|| Error::UnknownSync {
                    integration: unique_key.to_owned(),
                    name: name.name.clone(),
                })?;
            let of_function = syncs::table
                .filter(syncs::environment_id.eq(environment))
                .filter(syncs::connection.eq(connection))
                .filter(syncs::function_id.eq(function.id));
            let count: i64 = of_function.count().get_result(conn).await?;
            if count >= MOST {
                return Err(Error::TooManyVariants(MOST));
            }
            match make(conn, &function, connection, &name.variant).await? {
                Some(sync) => Ok(sync.id),
                None => Err(taken(conn, &function, connection, name).await?),
            }
        })
        .await?;
    drop(conn);
    core.jobs.wake();
    log(
        core,
        environment,
        (unique_key, connection_id),
        "create_variant",
        name,
    );
    Ok(id)
}

/// Why there is no place for a variant.
async fn taken(
    conn: &mut Connection,
    function: &Recorded,
    connection: i64,
    name: &Name,
) -> Result<Error, Error> {
    let state: Option<String> = syncs::table
        .filter(syncs::environment_id.eq(function.environment_id))
        .filter(syncs::connection.eq(connection))
        .filter(syncs::function_id.eq(function.id))
        .filter(syncs::variant.eq(&name.variant))
        .select(syncs::state)
        .first(conn)
        .await
        .optional()?;
    Ok(match state.as_deref() {
        Some(LEAVING) => Error::VariantIsLeaving(name.variant.clone()),
        _ => Error::VariantExists {
            name: name.name.clone(),
            variant: name.variant.clone(),
        },
    })
}

/// Deletes a variant with its schedule, runs, checkpoint and records. A run that is
/// under way is cancelled, and the rest follows when it has ended.
///
/// # Errors
/// [`Error::ProtectedVariant`], [`Error::UnknownVariant`], and those of the
/// connection.
pub async fn delete(
    core: &Core,
    store: &Store,
    environment: EnvironmentId,
    (unique_key, connection_id): (&str, &str),
    name: &Name,
) -> Result<(), Error> {
    check(name)?;
    let scope = Scope {
        environment,
        integration: unique_key,
        connection: Some(connection_id),
        names: std::slice::from_ref(name),
    };
    let found = {
        let mut conn = core.db.conn().await?;
        crate::select::look(&mut conn, &scope).await?
    };
    let unknown = || Error::UnknownVariant {
        name: name.name.clone(),
        variant: name.variant.clone(),
    };
    let found = found.into_iter().next().ok_or_else(unknown)?;
    take_leave(core, store, environment, found.id).await?;
    log(
        core,
        environment,
        (unique_key, connection_id),
        "delete_variant",
        name,
    );
    Ok(())
}

/// The base variant is every sync's own.
fn check(name: &Name) -> Result<(), Error> {
    match name.variant.eq_ignore_ascii_case(BASE) {
        true => Err(Error::ProtectedVariant(name.variant.clone())),
        false => Ok(()),
    }
}

fn log(
    core: &Core,
    environment: EnvironmentId,
    (unique_key, connection_id): (&str, &str),
    action: &'static str,
    name: &Name,
) {
    let mut operation = Operation::begin(environment, Kind::Sync, action);
    operation.integration = Some(unique_key.to_owned());
    operation.connection_id = Some(connection_id.to_owned());
    operation.say(Level::Info, format!("Sync {name}"));
    core.logs.write(operation);
}

/// Takes a sync out of sight, and deletes what it has: at once, or by a job when a
/// run of it is under way.
pub(crate) async fn take_leave(
    core: &Core,
    store: &Store,
    environment: EnvironmentId,
    id: Uuid,
) -> Result<(), Error> {
    let mut conn = core.db.conn().await?;
    let leave = conn
        .transaction(async |conn| {
            let Some((sync, _)) = Sync::lock(conn, environment, id).await? else {
                return Ok(None);
            };
            let ids: Vec<i64> = sync.schedule_id.into_iter().collect();
            schedules::remove(conn, &ids).await?;
            diesel::update(syncs::table.find((environment, id)))
                .set(syncs::state.eq(LEAVING))
                .execute(conn)
                .await?;
            let leave = Leave {
                environment,
                sync: id,
                schedule: sync.schedule_id,
            };
            linkspan_jobs::enqueue(conn, &[leave.job()?]).await?;
            Ok::<_, Error>(Some(leave))
        })
        .await?;
    drop(conn);
    core.jobs.wake();
    if let Some(of) = leave {
        // What is left, and anything that fails, is the job's.
        leave_now(core, store, &of).await?;
    }
    Ok(())
}

async fn leave_now(core: &Core, store: &Store, of: &Leave) -> Result<(), Error> {
    match leave(core, store, of).await {
        Err(error) if error.is_outage() => {
            tracing::warn!(%error, sync = %of.sync, "a sync is deleted a little later");
            Ok(())
        }
        done => done.map(drop),
    }
}

/// Deletes what a sync that leaves has: its records, its checkpoint, its row. False
/// while a run of it is under way.
///
/// # Errors
/// When a database fails.
pub async fn leave(core: &Core, store: &Store, leave: &Leave) -> Result<bool, Error> {
    let mut conn = core.db.conn().await?;
    let ids: Vec<i64> = leave.schedule.into_iter().collect();
    if !schedules::live(&mut conn, &ids).await?.is_empty() {
        return Ok(false);
    }
    let row: Option<Sync> = syncs::table
        .find((leave.environment, leave.sync))
        .filter(syncs::state.eq(LEAVING))
        .select(Sync::as_select())
        .first(&mut conn)
        .await
        .optional()?;
    // Without one it is gone, with its connection or by another's hand.
    let Some(sync) = row else {
        return Ok(true);
    };
    let function: Option<Recorded> = sync_functions::table
        .find((sync.environment_id, sync.function_id))
        .select(Recorded::as_select())
        .first(&mut conn)
        .await
        .optional()?;
    drop(conn);
    let Some(function) = function else {
        return Ok(true);
    };
    for model in &function.models {
        store.drop_stream(&stream(&sync, model)).await?;
    }
    let mut conn = core.db.conn().await?;
    conn.transaction(async |conn| {
        let key = checkpoint_key(&function.name, &sync.variant);
        let checkpoint = (sync.environment_id, sync.connection, key);
        diesel::delete(checkpoints::table.find(checkpoint))
            .execute(conn)
            .await?;
        diesel::delete(syncs::table.find((sync.environment_id, sync.id)))
            .execute(conn)
            .await?;
        drop_function(conn, sync.environment_id, function.id).await
    })
    .await?;
    Ok(true)
}

/// The records of a model that a sync saves.
pub(crate) fn stream(sync: &Sync, model: &str) -> StreamName {
    StreamName {
        environment: sync.environment_id,
        connection: sync.connection,
        model: model.to_owned(),
        variant: sync.variant.clone(),
    }
}

/// Deletes a function that leaves, when it has no syncs any more.
pub(crate) async fn drop_function(
    conn: &mut Connection,
    environment: EnvironmentId,
    id: Uuid,
) -> Result<(), Error> {
    diesel::sql_query(
        "DELETE FROM sync_functions f WHERE environment_id = $1 AND id = $2 AND is_leaving \
         AND NOT EXISTS (SELECT FROM syncs s WHERE s.environment_id = $1 AND s.function_id = $2)",
    )
    .bind::<SqlUuid, _>(environment)
    .bind::<SqlUuid, _>(id)
    .execute(conn)
    .await?;
    Ok(())
}
