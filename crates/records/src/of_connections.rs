//! All streams of a sync, or of many connections, at once.

use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use linkspan_shared::tenancy::EnvironmentId;

use crate::{Error, Store, StreamName, stream};

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
    /// Refuses earlier runs from now on, before the run of this fence has saved
    /// anything. Streams that are not there yet are made for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn raise_fence(
        &self,
        environment: EnvironmentId,
        connection: i64,
        variant: &str,
        models: &[String],
        fence: i64,
    ) -> Result<(), Error> {
        let of = (environment, connection, variant);
        if self.raise(of, models, fence).await? == models.len() {
            return Ok(());
        }
        for model in models {
            let name = StreamName {
                environment,
                connection,
                model: model.clone(),
                variant: variant.to_owned(),
            };
            if stream::find(self, &name).await?.is_none() {
                self.forget(&name).await;
                self.stream_or_new(&name).await?;
            }
        }
        self.raise(of, models, fence).await?;
        Ok(())
    }

    /// How many streams have this fence now, or had a higher one.
    async fn raise(
        &self,
        (environment, connection, variant): (EnvironmentId, i64, &str),
        models: &[String],
        fence: i64,
    ) -> Result<usize, Error> {
        Ok(diesel::sql_query(
            "UPDATE records.streams SET fence = greatest(fence, $5) \
             WHERE environment_id = $1 AND connection = $2 AND variant = $3 AND model = ANY($4)",
        )
        .bind::<SqlUuid, _>(environment)
        .bind::<BigInt, _>(connection)
        .bind::<Text, _>(variant)
        .bind::<Array<Text>, _>(models)
        .bind::<BigInt, _>(fence)
        .execute(&mut *self.db().conn().await?)
        .await?)
    }

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
