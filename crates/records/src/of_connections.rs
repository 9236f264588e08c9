//! All streams of many connections at once.

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use linkspan_shared::tenancy::EnvironmentId;

use crate::{Error, Store};

/// How many records of a stream are not deleted.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub struct LiveCount {
    /// The connection's internal number.
    #[diesel(sql_type = BigInt)]
    pub connection: i64,
    /// The model.
    #[diesel(sql_type = Text)]
    pub model: String,
    /// The variant.
    #[diesel(sql_type = Text)]
    pub variant: String,
    /// How many.
    #[diesel(sql_type = BigInt)]
    pub live: i64,
}

impl Store {
    /// How many records each stream of these connections holds.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn live_counts(
        &self,
        environment: EnvironmentId,
        connections: &[i64],
    ) -> Result<Vec<LiveCount>, Error> {
        Ok(diesel::sql_query(
            "SELECT connection, model, variant, live FROM records.streams \
             WHERE environment_id = $1 AND connection = ANY($2)",
        )
        .bind::<SqlUuid, _>(environment)
        .bind::<Array<BigInt>, _>(connections)
        .load(&mut *self.db().conn().await?)
        .await?)
    }
}
