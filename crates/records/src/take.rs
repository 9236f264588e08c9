//! What a run does to a stream before it saves to it.

use diesel::sql_types::{BigInt, Binary, Nullable, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;

use crate::stream::{self, Stream};
use crate::track::{check, look};
use crate::{Error, Store, StreamName};

impl Store {
    /// Makes a stream the run's of this fence, also when there is none yet: from
    /// now on earlier runs are refused, whether or not this one ever saves.
    ///
    /// # Errors
    /// [`Error::Stale`] when it is a later run's, and when the database fails.
    pub async fn take(&self, name: &StreamName, fence: i64) -> Result<(), Error> {
        loop {
            let stream = self.stream_or_new(name).await?;
            if self.take_over(name, &stream, fence).await? > 0 {
                return Ok(());
            }
            self.may_be_another(name, &stream, Some(fence)).await?;
        }
    }

    /// Deletes all records of a stream at once, as [`Store::drop_stream`] does, and
    /// keeps its place and its fence: who follows its cursors goes on, and runs
    /// that are refused stay refused. With a fence, the stream is that run's.
    ///
    /// # Errors
    /// As [`Store::take`].
    pub async fn empty(&self, name: &StreamName, fence: Option<i64>) -> Result<(), Error> {
        loop {
            let stream = self.stream_or_new(name).await?;
            if self.replace(name, &stream, fence).await? > 0 {
                self.forget(name).await;
                return Ok(());
            }
            self.may_be_another(name, &stream, fence).await?;
        }
    }

    async fn take_over(
        &self,
        name: &StreamName,
        stream: &Stream,
        fence: i64,
    ) -> Result<usize, Error> {
        Ok(diesel::sql_query(
            "UPDATE records.streams SET fence = $3 \
             WHERE environment_id = $1 AND id = $2 AND fence <= $3",
        )
        .bind::<SqlUuid, _>(name.environment)
        .bind::<BigInt, _>(stream.id)
        .bind::<BigInt, _>(fence)
        .execute(&mut *self.db().conn().await?)
        .await?)
    }

    /// Puts an empty stream in the place of this one.
    async fn replace(
        &self,
        name: &StreamName,
        stream: &Stream,
        fence: Option<i64>,
    ) -> Result<usize, Error> {
        let (id, secret) = stream::fresh(self, name).await?;
        Ok(diesel::sql_query(
            "WITH emptied AS (UPDATE records.streams SET id = $3, secret = $4, \
                 fence = greatest(fence, $5), tracked_from = NULL, pruned_until = 0, \
                 live = 0, deleted = 0, bytes = 0, written_at = now() \
                 WHERE environment_id = $1 AND id = $2 AND ($5 IS NULL OR fence <= $5) \
                 RETURNING 1) \
             INSERT INTO records.dropped (environment_id, stream) SELECT $1, $2 FROM emptied",
        )
        .bind::<SqlUuid, _>(name.environment)
        .bind::<BigInt, _>(stream.id)
        .bind::<BigInt, _>(id)
        .bind::<Binary, _>(secret)
        .bind::<Nullable<BigInt>, _>(fence)
        .execute(&mut *self.db().conn().await?)
        .await?)
    }

    /// Nothing was done to a stream: it is a later run's, or another one by now,
    /// which is then looked up again.
    async fn may_be_another(
        &self,
        name: &StreamName,
        stream: &Stream,
        fence: Option<i64>,
    ) -> Result<(), Error> {
        let found = look(&mut *self.db().conn().await?, stream).await?;
        match found {
            Some(row) => check(stream, fence, row.fence)?,
            None => self.forget(name).await,
        }
        Ok(())
    }
}
