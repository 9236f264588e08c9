//! Batches: what a sync saves at once, all of it or nothing.
//!
//! A batch is compared first, without a lock; then what it changes is sealed;
//! then one statement stores it if the stream is still as it was compared. Only
//! when another writer was faster is the stream locked first and all of this
//! done in one transaction. Nobody waits for another's sealing, and of a batch
//! that changes nothing nothing is written.

use std::sync::Arc;

use diesel_async::AsyncConnection;
use linkspan_shared::breakpoint::reach;
use linkspan_shared::db::Connection;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::incoming::{self, Batch, Incoming};
use crate::plan::{Kind, Plan, Work};
use crate::stream::{Stream, StreamName};
use crate::{Cursor, Error, Store};

/// Who saves, and what may be overwritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Writer {
    /// Grows from one run of a sync to the next. A batch is refused when a later
    /// run has taken the stream, and when there is none; a writer without a fence is
    /// never refused, and makes the stream.
    pub fence: Option<i64>,
    /// What is done to records that changed meanwhile.
    pub merging: Merging,
}

impl Writer {
    /// The writer of a run, which overwrites.
    #[must_use]
    pub const fn fenced(fence: i64) -> Self {
        Self {
            fence: Some(fence),
            merging: Merging::Override,
        }
    }
}

/// What a batch does to records that others changed (CONTRACT 5, the merging
/// strategies of functions).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Merging {
    /// The batch wins.
    #[default]
    Override,
    /// Records that changed after this place stay as they are.
    IgnoreIfModifiedAfter(Cursor),
}

/// What became of a batch. Each list has ids in the batch's order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Not there before, or deleted.
    pub added: Vec<String>,
    /// There with another content.
    pub updated: Vec<String>,
    /// Deleted by this batch.
    pub deleted: Vec<String>,
    /// There as they came.
    pub unchanged: Vec<String>,
    /// Left alone because of [`Merging::IgnoreIfModifiedAfter`].
    pub ignored: Vec<String>,
    /// Not there, or deleted already, when they should have been updated or
    /// deleted; also those to update whose payload was pruned.
    pub unknown: Vec<String>,
    /// Came more than once: the first counted, for the log to tell of the others.
    pub duplicates: Vec<String>,
    /// The stream's place after the batch.
    pub cursor: Cursor,
    /// The strategy of the writer's next batch, for which its own changes are no
    /// others'. It moves only while nobody else saves.
    pub next_merging: Merging,
}

impl Store {
    /// Saves records (`batchSave`): adds those that are not there, replaces those
    /// whose content differs, whatever the order of its keys. They are stored to
    /// the letter, but for a member `_nango_metadata`.
    ///
    /// # Errors
    /// [`Error::Stale`], [`Error::Dropped`], and what is wrong with a record: then
    /// nothing of the batch is stored.
    pub async fn batch_save(
        &self,
        name: &StreamName,
        records: Vec<Box<RawValue>>,
        writer: Writer,
    ) -> Result<Outcome, Error> {
        self.batch(name, records, Kind::Save, writer).await
    }

    /// Lays the members of records over those that are stored (`batchUpdate`):
    /// objects are merged, everything else is replaced. Records that are not
    /// there are not added.
    ///
    /// # Errors
    /// As [`Store::batch_save`].
    pub async fn batch_update(
        &self,
        name: &StreamName,
        records: Vec<Box<RawValue>>,
        writer: Writer,
    ) -> Result<Outcome, Error> {
        self.batch(name, records, Kind::Update, writer).await
    }

    /// Marks the records of these ids as deleted (`batchDelete`); of each record
    /// given only the id counts. What is stored of them stays readable.
    ///
    /// # Errors
    /// As [`Store::batch_save`].
    pub async fn batch_delete(
        &self,
        name: &StreamName,
        records: Vec<Box<RawValue>>,
        writer: Writer,
    ) -> Result<Outcome, Error> {
        self.batch(name, records, Kind::Delete, writer).await
    }

    async fn batch(
        &self,
        name: &StreamName,
        records: Vec<Box<RawValue>>,
        kind: Kind,
        writer: Writer,
    ) -> Result<Outcome, Error> {
        let stream = self.stream_for(name, writer.fence).await?;
        let batch = incoming::read(&stream, records).await?;
        match self.apply(&stream, batch, kind, writer).await? {
            Applied::Done(outcome) => Ok(outcome),
            Applied::Gone(batch) => {
                // What was remembered is of a stream that was deleted.
                self.forget(name).await;
                let stream = self.stream_for(name, writer.fence).await?;
                let batch = incoming::again(&stream, batch).await?;
                match self.apply(&stream, batch, kind, writer).await? {
                    Applied::Done(outcome) => Ok(outcome),
                    Applied::Gone(_) => Err(dropped(&stream)),
                }
            }
        }
    }

    /// Deletes records by their keys, unless they changed after `later`; how many.
    pub(crate) async fn delete_keys(
        &self,
        stream: &Arc<Stream>,
        keys: Vec<Uuid>,
        fence: Option<i64>,
        later: Cursor,
    ) -> Result<usize, Error> {
        let record = |key| Incoming {
            id: String::new(),
            key,
            hash: Uuid::nil(),
            text: Box::default(),
        };
        let batch = Batch {
            records: keys.into_iter().map(record).collect(),
            duplicates: Vec::new(),
        };
        let writer = Writer {
            fence,
            merging: Merging::IgnoreIfModifiedAfter(later),
        };
        match self.apply(stream, batch, Kind::Delete, writer).await? {
            Applied::Done(outcome) => Ok(outcome.deleted.len()),
            Applied::Gone(_) => Err(dropped(stream)),
        }
    }

    async fn apply(
        &self,
        stream: &Arc<Stream>,
        batch: Batch,
        kind: Kind,
        writer: Writer,
    ) -> Result<Applied, Error> {
        // Before a connection is held: the keys may need one.
        let keys = self.vault().environment(stream.name.environment).await?;
        let mut work = Work::new(self.vault().clone(), stream, keys, batch, kind, writer);
        let mut conn = self.db().conn().await?;
        let Some(plan) = work.plan(&mut conn).await? else {
            return Ok(Applied::Gone(work.batch));
        };
        reach("records.compared");
        if let Some(outcome) = carry_out(&mut conn, stream, &mut work, plan).await? {
            reach("records.committed");
            return Ok(Applied::Done(outcome));
        }
        // Another writer was faster: this time it is kept out.
        let outcome = conn
            .transaction(async |conn| {
                crate::compare::lock(conn, stream).await?;
                reach("records.locked");
                let plan = work.plan(conn).await?.ok_or_else(|| dropped(stream))?;
                let outcome = carry_out(conn, stream, &mut work, plan).await?;
                reach("records.written");
                outcome.ok_or_else(|| dropped(stream))
            })
            .await?;
        reach("records.committed");
        Ok(Applied::Done(outcome))
    }
}

enum Applied {
    Done(Outcome),
    /// The stream is not there; nothing was stored.
    Gone(Batch),
}

fn dropped(stream: &Stream) -> Error {
    Error::Dropped {
        model: stream.name.model.clone(),
    }
}

/// Stores what a plan says; `None` when the stream has changed since.
async fn carry_out(
    conn: &mut Connection,
    stream: &Stream,
    work: &mut Work,
    plan: Plan,
) -> Result<Option<Outcome>, Error> {
    let sequence = match plan.has_changes() {
        true => plan.changes.write(conn, stream).await?,
        false => Some(plan.changes.sequence),
    };
    match sequence {
        Some(sequence) => Ok(Some(plan.outcome(work, Cursor(sequence)))),
        None => {
            work.take_back(plan);
            Ok(None)
        }
    }
}
