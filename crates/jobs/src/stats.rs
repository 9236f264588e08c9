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

const STATES: [&str; 5] = ["delayed", "ready", "parked", "running", "dead"];

/// Each state has an index, which the planner sees only where the state is said:
/// given as a value, three of them would be looked for in the whole table.
fn statement() -> String {
    let one = |state: &&str| {
        let oldest = match *state {
            "ready" => {
                "(SELECT max(waited) FROM generate_series(0, 2) AS p (priority), LATERAL ( \
                    SELECT extract(epoch FROM now() - j.run_at)::float8 AS waited \
                    FROM jobs.jobs j WHERE j.state = 'ready' AND j.priority = p.priority \
                    ORDER BY j.virtual_time, j.id LIMIT 1) AS head)"
            }
            _ => "NULL::float8",
        };
        format!(
            "SELECT '{state}' AS state, (SELECT count(*) FROM ( \
                SELECT 1 FROM jobs.jobs WHERE state = '{state}' LIMIT $1) AS counted) AS count, \
                {oldest} AS oldest"
        )
    };
    STATES
        .iter()
        .map(one)
        .collect::<Vec<_>>()
        .join(" UNION ALL ")
}

/// Counts the jobs of each state. Bounded: some milliseconds at any length of
/// the queue.
///
/// # Errors
/// When the database fails.
pub async fn count(conn: &mut Connection) -> Result<Vec<InState>, Error> {
    Ok(sql_query(statement())
        .bind::<BigInt, _>(COUNTED)
        .load(conn)
        .await?)
}
