//! How many jobs there are, for metrics and for people.

use diesel::sql_types::{BigInt, Double, Nullable, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use linkspan_db::Connection;

use crate::Error;

/// Beyond this, waiting jobs are not counted: counting reads the whole index.
pub const COUNTED: i64 = 100_000;

/// How many jobs are in a state.
#[derive(Debug, Clone, QueryableByName)]
pub struct InState {
    /// The state's name.
    #[diesel(sql_type = Text)]
    pub state: String,
    /// How many, up to [`COUNTED`].
    #[diesel(sql_type = BigInt)]
    pub count: i64,
    /// For how long the one that is due longest has waited, in seconds.
    #[diesel(sql_type = Nullable<Double>)]
    pub oldest: Option<f64>,
}

/// Counts the jobs of each state. Bounded: some milliseconds at any length of
/// the queue.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut Connection) -> Result<Vec<InState>, Error> {
    Ok(sql_query(
        "SELECT s.state, \
            (SELECT count(*) FROM (SELECT 1 FROM jobs.jobs j WHERE j.state = s.state \
                LIMIT $1) AS counted) AS count, \
            CASE s.state WHEN 'ready' THEN (SELECT extract(epoch FROM now() - j.run_at)::float8 \
                FROM jobs.jobs j WHERE j.state = 'ready' \
                ORDER BY j.priority, j.virtual_time, j.id LIMIT 1) END AS oldest \
         FROM unnest('{delayed,ready,parked,running,dead}'::text[]) AS s (state)",
    )
    .bind::<BigInt, _>(COUNTED)
    .load(conn)
    .await?)
}
