//! Making the syncs that connections lack.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_jobs::schedules;
use linkspan_records::BASE;
use linkspan_shared::Core;
use linkspan_shared::connections::syncing::Arrange;
use linkspan_shared::db::Connection;
use linkspan_shared::db::schema::{connections, sync_functions, syncs};
use linkspan_shared::tenancy::EnvironmentId;
use serde_json::Value;
use uuid::Uuid;

use crate::Error;
use crate::functions::{Recorded, of_integration};
use crate::sync::{PAUSED, Reason, STARTED, Sync};

/// Connections that are looked at between two looks at whether to go on.
const PAGE: i64 = 200;
/// In a connection's configuration while a webhook has yet to complete it.
const PENDING: &str = "pending";

/// Makes the base variant's sync of each function for the connections that lack
/// it, each connection in one transaction. May be repeated at any time. How many
/// it made.
///
/// # Errors
/// When the database fails.
pub async fn arrange(
    core: &Core,
    arrange: &Arrange,
    is_ending: impl Fn() -> bool,
) -> Result<usize, Error> {
    let mut made = 0;
    let mut after = arrange
        .connection
        .map_or(i64::MIN, |id| id.saturating_sub(1));
    while !is_ending() {
        let mut conn = core.db.conn().await?;
        let page = page(&mut conn, arrange, after).await?;
        let Some((last, _)) = page.last() else {
            break;
        };
        after = *last;
        for (connection, config) in page {
            if config.get(PENDING).is_none_or(|is| is != true) {
                made += arrange_one(&mut conn, arrange, connection).await?;
            }
        }
        if made > 0 {
            core.jobs.wake();
        }
        if arrange.connection.is_some() {
            break;
        }
    }
    Ok(made)
}

async fn page(
    conn: &mut Connection,
    arrange: &Arrange,
    after: i64,
) -> Result<Vec<(i64, Value)>, Error> {
    let mut query = connections::table
        .filter(connections::environment_id.eq(arrange.environment))
        .filter(connections::integration_id.eq(arrange.integration))
        .filter(connections::id.gt(after))
        .order(connections::id)
        .limit(PAGE)
        .select((connections::id, connections::connection_config))
        .into_boxed();
    if let Some(id) = arrange.connection {
        query = query.filter(connections::id.eq(id));
    }
    Ok(query.load(conn).await?)
}

async fn arrange_one(
    conn: &mut Connection,
    arrange: &Arrange,
    connection: i64,
) -> Result<usize, Error> {
    let result = conn
        .transaction(async |conn| {
            let there = connections::table
                .find((arrange.environment, connection))
                .select(connections::id)
                .for_key_share()
                .first::<i64>(conn)
                .await
                .optional()?;
            let mut made = 0;
            if there.is_some() {
                let functions =
                    of_integration(conn, arrange.environment, arrange.integration).await?;
                for function in functions {
                    let sync = make(conn, &function, connection, BASE).await?;
                    made += usize::from(sync.is_some());
                }
            }
            Ok(made)
        })
        .await;
    match result {
        // A function went meanwhile: there is nothing to make of it.
        Err(error) if is_gone(&error) => Ok(0),
        result => result,
    }
}

/// Whether what a new row refers to was deleted meanwhile.
pub(crate) fn is_gone(error: &Error) -> bool {
    use diesel::result::{DatabaseErrorKind, Error as QueryError};
    use linkspan_shared::db;
    matches!(
        error,
        Error::Core(linkspan_shared::Error::Database(db::Error::Query(
            QueryError::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _)
        )))
    )
}

/// Makes a sync with its schedule, and its first run unless it begins paused.
/// None when there is one.
pub(crate) async fn make(
    conn: &mut Connection,
    function: &Recorded,
    connection: i64,
    variant: &str,
) -> Result<Option<Sync>, Error> {
    let state = match function.auto_start {
        true => STARTED,
        false => PAUSED,
    };
    let sync: Option<Sync> = diesel::insert_into(syncs::table)
        .values((
            syncs::environment_id.eq(function.environment_id),
            syncs::id.eq(Uuid::now_v7()),
            syncs::connection.eq(connection),
            syncs::function_id.eq(function.id),
            syncs::variant.eq(variant),
            syncs::state.eq(state),
        ))
        .on_conflict_do_nothing()
        .returning(Sync::as_returning())
        .get_result(conn)
        .await
        .optional()?;
    let Some(mut sync) = sync else {
        return Ok(None);
    };
    schedule(conn, &mut sync, function).await?;
    if !sync.is_paused() {
        sync.enqueue(conn, Reason::Created).await?;
    }
    Ok(Some(sync))
}

async fn schedule(
    conn: &mut Connection,
    sync: &mut Sync,
    function: &Recorded,
) -> Result<(), Error> {
    let job = sync.job(Reason::Schedule)?;
    let key = sync.schedule_key();
    let schedule = schedules::create(conn, &key, &sync.spec(function), &job).await?;
    if sync.is_paused() {
        schedules::pause(conn, &key).await?;
    }
    sync.schedule_id = Some(schedule.id);
    diesel::update(syncs::table.find((sync.environment_id, sync.id)))
        .set(syncs::schedule_id.eq(schedule.id))
        .execute(conn)
        .await?;
    Ok(())
}

/// A function of an integration by its name, kept until the transaction ends.
pub(crate) async fn function(
    conn: &mut Connection,
    environment: EnvironmentId,
    integration: Uuid,
    name: &str,
) -> Result<Option<Recorded>, Error> {
    Ok(sync_functions::table
        .filter(sync_functions::environment_id.eq(environment))
        .filter(sync_functions::integration_id.eq(integration))
        .filter(sync_functions::name.eq(name))
        .filter(sync_functions::is_leaving.eq(false))
        .select(Recorded::as_select())
        .for_key_share()
        .first(conn)
        .await
        .optional()?)
}
