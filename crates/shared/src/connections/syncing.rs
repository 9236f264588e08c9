//! What syncs have to do with connections that come and go: jobs that make the
//! syncs of a new one, and the end of what is scheduled for one that goes.

use std::time::Duration;

use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as QueryError};
use diesel::sql_types::{BigInt, Nullable, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use linkspan_jobs::schedules;
use linkspan_jobs::{Kind, NewJob};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Connection;
use crate::db;
use crate::db::schema::sync_functions;
use crate::tenancy::EnvironmentId;

/// Makes the syncs that connections lack, of each function of their integration.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Arrange {
    /// The environment.
    pub environment: EnvironmentId,
    /// The integration.
    pub integration: Uuid,
    /// The connection's internal number; all of the integration when absent.
    pub connection: Option<i64>,
}

impl Kind for Arrange {
    const NAME: &'static str = "syncs.arrange";
    const RUN_LIMIT: Duration = Duration::from_secs(3_600);
    /// Connections without their syncs would go unnoticed, and each attempt finds more of
    /// them done: workers that die, however many, only delay it.
    const MAX_ATTEMPTS: u16 = 1_000;
}

impl Arrange {
    /// Its job.
    ///
    /// # Errors
    /// Never: it can be written as JSON.
    pub fn job(&self) -> Result<NewJob, linkspan_jobs::Error> {
        let tenant = self.environment.to_string();
        Ok(NewJob::new(self)?.group(tenant.clone()).tenant(tenant))
    }
}

/// Enqueues the making of a connection's syncs, if its integration has functions.
/// To be called in the transaction that stores it. Who adds a function waits for
/// transactions like this one and has all connections arranged afterwards.
pub(crate) async fn arrange(
    conn: &mut db::Connection,
    connection: &Connection,
) -> Result<(), QueryError> {
    let functions = sync_functions::table
        .filter(sync_functions::environment_id.eq(connection.environment_id))
        .filter(sync_functions::integration_id.eq(connection.integration_id));
    let has_functions: bool = diesel::select(diesel::dsl::exists(functions))
        .get_result(conn)
        .await?;
    if !has_functions || connection.credentials.is_pending() {
        return Ok(());
    }
    let arrange = Arrange {
        environment: connection.environment_id,
        integration: connection.integration_id,
        connection: Some(connection.id),
    };
    let job = arrange.job().map_err(as_query)?;
    linkspan_jobs::enqueue(conn, &[job])
        .await
        .map_err(as_query)?;
    Ok(())
}

/// Whose syncs end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Whose<'a> {
    /// A connection's.
    Connection(EnvironmentId, &'a str, Uuid),
    /// An integration's.
    Integration(EnvironmentId, &'a str),
}

/// Takes away what is scheduled and cancels what runs. To be called in the
/// transaction that deletes whose it is; their rows go with it, and their records
/// follow.
pub(crate) async fn end(conn: &mut db::Connection, whose: Whose<'_>) -> Result<(), crate::Error> {
    // What was made while the first look waited is seen by the second.
    scheduled(conn, whose).await?;
    let ids = scheduled(conn, whose).await?;
    let ids: Vec<i64> = ids.into_iter().filter_map(|row| row.schedule_id).collect();
    schedules::remove(conn, &ids).await.map_err(of_jobs)?;
    Ok(())
}

async fn scheduled(
    conn: &mut db::Connection,
    whose: Whose<'_>,
) -> Result<Vec<Scheduled>, crate::Error> {
    Ok(match whose {
        Whose::Connection(environment, connection_id, integration) => {
            diesel::sql_query(OF_CONNECTION)
                .bind::<SqlUuid, _>(environment)
                .bind::<SqlUuid, _>(integration)
                .bind::<Text, _>(connection_id)
                .load(conn)
                .await?
        }
        Whose::Integration(environment, unique_key) => {
            diesel::sql_query(OF_INTEGRATION)
                .bind::<SqlUuid, _>(environment)
                .bind::<Text, _>(unique_key)
                .load(conn)
                .await?
        }
    })
}

#[derive(QueryableByName)]
struct Scheduled {
    #[diesel(sql_type = Nullable<BigInt>)]
    schedule_id: Option<i64>,
}

/// A sync refers to its connection and its function, and a function to its
/// integration: whoever makes one while these rows are locked waits, and finds them
/// gone. The rows of syncs come last, as they do for whoever changes one.
const OF_CONNECTION: &str = "WITH c AS MATERIALIZED (SELECT id FROM connections \
        WHERE environment_id = $1 AND integration_id = $2 AND connection_id = $3 FOR UPDATE) \
    SELECT s.schedule_id FROM c JOIN syncs s ON s.environment_id = $1 AND s.connection = c.id \
    ORDER BY s.id FOR UPDATE OF s";
const OF_INTEGRATION: &str = "WITH i AS MATERIALIZED (SELECT id FROM integrations \
        WHERE environment_id = $1 AND unique_key = $2 FOR UPDATE), \
    f AS MATERIALIZED (SELECT f.id FROM i JOIN sync_functions f \
        ON f.environment_id = $1 AND f.integration_id = i.id ORDER BY f.id FOR UPDATE OF f) \
    SELECT s.schedule_id FROM f JOIN syncs s ON s.environment_id = $1 AND s.function_id = f.id \
    ORDER BY s.id FOR UPDATE OF s";

/// An error of the jobs table where only one of the database fits.
fn as_query(error: linkspan_jobs::Error) -> QueryError {
    match error {
        linkspan_jobs::Error::Database(db::Error::Query(error)) => error,
        other => QueryError::DatabaseError(
            DatabaseErrorKind::Unknown,
            Box::new(format!("jobs: {other}")),
        ),
    }
}

fn of_jobs(error: linkspan_jobs::Error) -> crate::Error {
    match error {
        linkspan_jobs::Error::Database(error) => error.into(),
        other => as_query(other).into(),
    }
}
