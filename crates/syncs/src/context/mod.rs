//! What a sync function may do while it runs.

mod checkpoint;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_records::{Merging, Outcome, Page, Query, Record, Store, StreamName, Writer};
use linkspan_shared::Core;
use linkspan_shared::breakpoint::reach;
use linkspan_shared::connections::live::{self, LiveKey};
use linkspan_shared::connections::metadata::{self, Change};
use linkspan_shared::db::schema::syncs;
use linkspan_shared::logs::{Level, Message};
use linkspan_shared::tenancy::EnvironmentId;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::functions::Recorded;
use crate::sync::Sync;
use crate::variant::stream;
use crate::{Error, Failure, RunResult};

/// How often what a run has changed until now is written down.
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Messages that one run logs, and the bytes of each; of the others it says how
/// many there were.
const MOST_MESSAGES: usize = 1_000;
const LONGEST_MESSAGE: usize = 8_192;

/// What a run is about.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The environment.
    pub environment: EnvironmentId,
    /// The integration's key.
    pub integration: String,
    /// The provider's slug.
    pub provider: String,
    /// The connection's id.
    pub connection_id: String,
    /// The sync's number.
    pub sync: Uuid,
    /// The function's name.
    pub name: String,
    /// The variant.
    pub variant: String,
    /// The models whose records it saves.
    pub models: Vec<String>,
    /// When the last run that succeeded began (`lastSyncDate`); none for a run
    /// that begins from nothing.
    pub synced_at: Option<DateTime<Utc>>,
    /// Which attempt of this run it is; the first is 1.
    pub attempt: u16,
}

/// What a run logs.
#[derive(Debug, Default)]
pub struct Log {
    pub(crate) messages: Vec<Message>,
    pub(crate) left_out: usize,
}

/// What a sync function may do while it runs. Everything that it writes is written
/// under the fence of its run: a run that was replaced is refused.
pub struct RunContext {
    core: Core,
    store: Store,
    sync: Sync,
    function: Recorded,
    facts: Facts,
    checkpoint_key: String,
    fence: i64,
    stopping: CancellationToken,
    state: Mutex<State>,
    checkpoint: tokio::sync::Mutex<Option<checkpoint::Read>>,
}

#[derive(Default)]
struct State {
    result: RunResult,
    merging: HashMap<String, Merging>,
    log: Log,
    told: Option<Instant>,
    had_outage: bool,
}

/// A run that has begun.
pub(crate) struct Begun {
    pub(crate) sync: Sync,
    pub(crate) function: Recorded,
    pub(crate) facts: Facts,
    pub(crate) fence: i64,
    pub(crate) result: RunResult,
    /// Whether it begins without a checkpoint.
    pub(crate) is_fresh: bool,
}

impl RunContext {
    pub(crate) fn new(core: &Core, store: &Store, begun: Begun, stop: CancellationToken) -> Self {
        Self {
            core: core.clone(),
            store: store.clone(),
            checkpoint_key: begun.sync.checkpoint_key(&begun.function),
            sync: begun.sync,
            function: begun.function,
            facts: begun.facts,
            fence: begun.fence,
            stopping: stop,
            state: Mutex::new(State {
                result: begun.result,
                ..State::default()
            }),
            checkpoint: tokio::sync::Mutex::new(None),
        }
    }

    /// What it is about.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// The function, as it was deployed.
    #[must_use]
    pub fn function(&self) -> &Recorded {
        &self.function
    }

    /// Completes when the run is to end: it was cancelled, took too long, or its
    /// worker stops. Everything else fails with [`Failure::Stopped`] from then on.
    pub async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Saves records (`batchSave`). Of duplicate ids the first counts; the others
    /// are logged.
    ///
    /// # Errors
    /// When a record is not what can be saved: then nothing of the batch is.
    pub async fn batch_save(
        &self,
        model: &str,
        records: Vec<Box<RawValue>>,
    ) -> Result<Outcome, Failure> {
        let (name, writer) = self.writer(model)?;
        let saved = self.store.batch_save(&name, records, writer).await;
        self.counted(model, self.known(saved)?).await
    }

    /// Lays the members of records over those that are stored (`batchUpdate`).
    ///
    /// # Errors
    /// As [`Self::batch_save`].
    pub async fn batch_update(
        &self,
        model: &str,
        records: Vec<Box<RawValue>>,
    ) -> Result<Outcome, Failure> {
        let (name, writer) = self.writer(model)?;
        let saved = self.store.batch_update(&name, records, writer).await;
        self.counted(model, self.known(saved)?).await
    }

    /// Marks records as deleted, of which only the ids count (`batchDelete`).
    ///
    /// # Errors
    /// As [`Self::batch_save`].
    pub async fn batch_delete(
        &self,
        model: &str,
        records: Vec<Box<RawValue>>,
    ) -> Result<Outcome, Failure> {
        let (name, writer) = self.writer(model)?;
        let saved = self.store.batch_delete(&name, records, writer).await;
        self.counted(model, self.known(saved)?).await
    }

    /// Records by their ids, at most 100 at once (`getRecordsByIds`). Those that
    /// are not there, or deleted, are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn records_by_ids(
        &self,
        model: &str,
        ids: Vec<String>,
    ) -> Result<Vec<Record>, Failure> {
        let name = self.stream(model)?;
        let mut found = self.known(self.store.get_by_ids(&name, ids).await)?;
        found.retain(|record| record.deleted_at().is_none());
        Ok(found)
    }

    /// A page of the model's records (`listRecords`).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn records(&self, model: &str, query: &Query) -> Result<Page, Failure> {
        let name = self.stream(model)?;
        self.known(self.store.list(&name, query).await)
    }

    /// What happens to records that others changed meanwhile, from now on
    /// (`setMergingStrategy`): `ignore` leaves those alone that changed after this
    /// moment.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_merging(&self, model: &str, ignore: bool) -> Result<(), Failure> {
        let merging = match ignore {
            false => Merging::Override,
            true => {
                let name = self.stream(model)?;
                let last = self.store.last(&name).await;
                Merging::IgnoreIfModifiedAfter(self.known(last)?)
            }
        };
        self.state().merging.insert(model.to_owned(), merging);
        Ok(())
    }

    /// Begins to track deletes (`trackDeletesStart`). What a run that was cut off has
    /// seen counts if this one goes on from a checkpoint; without one it reads
    /// everything anew.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn track_deletes_start(&self, model: &str) -> Result<(), Failure> {
        let name = self.stream(model)?;
        let begun = self.store.track_begin(&name, Some(self.fence));
        self.known(begun.await).map(drop)
    }

    /// Deletes what was not saved since the tracking began (`trackDeletesEnd`);
    /// how many records.
    ///
    /// A function whose checkpoint says how far it has read clears it before: else a
    /// run that dies between the two is repeated from that checkpoint, tracks anew,
    /// and deletes all that came before it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn track_deletes_end(&self, model: &str) -> Result<usize, Failure> {
        let name = self.stream(model)?;
        let ended = self.store.track_end(&name, Some(self.fence)).await;
        let deleted = self.known(ended)?;
        let count = u64::try_from(deleted).unwrap_or(0);
        let model = model.to_owned();
        self.state().result.entry(model).or_default().deleted += count;
        self.tell().await?;
        Ok(deleted)
    }

    /// The connection's metadata as it is now (`getMetadata`).
    ///
    /// # Errors
    /// When the connection is gone, or the database fails.
    pub async fn metadata(&self) -> Result<Value, Failure> {
        self.alive()?;
        let live = live::stored(&self.core, &self.live_key()).await;
        Ok(self.known(live)?.connection.metadata)
    }

    /// Replaces the connection's metadata (`setMetadata`), or merges into it
    /// (`updateMetadata`).
    ///
    /// # Errors
    /// When the connection is gone, or the metadata is too large.
    pub async fn write_metadata(
        &self,
        metadata: &Map<String, Value>,
        change: Change,
    ) -> Result<(), Failure> {
        self.alive()?;
        let ids = [self.facts.connection_id.clone()];
        let object = metadata.clone();
        let Facts {
            environment,
            integration,
            ..
        } = &self.facts;
        let written = metadata::write(&self.core, *environment, integration, &ids, &object, change);
        self.known(written.await)
    }

    /// Says something in the log of this run. Never waits.
    pub fn log(&self, level: Level, text: impl Into<String>) {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(LONGEST_MESSAGE));
        let log = &mut self.state().log;
        match log.messages.len() < MOST_MESSAGES {
            true => log.messages.push(Message {
                at: Utc::now(),
                level,
                text,
            }),
            false => log.left_out += 1,
        }
    }

    pub(crate) fn take_log(&self) -> Log {
        std::mem::take(&mut self.state().log)
    }

    pub(crate) fn result(&self) -> RunResult {
        self.state().result.clone()
    }

    /// Whether a database was away for something that the function did.
    pub(crate) fn had_outage(&self) -> bool {
        self.state().had_outage
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under this lock can leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self) -> Result<(), Failure> {
        match self.stopping.is_cancelled() {
            true => Err(Failure::Stopped),
            false => Ok(()),
        }
    }

    /// A result of the stores, for the function.
    fn known<T, E>(&self, result: Result<T, E>) -> Result<T, Failure>
    where
        Failure: From<E>,
    {
        result.map_err(|error| {
            let failure = Failure::from(error);
            if matches!(failure, Failure::Outage(_)) {
                self.state().had_outage = true;
            }
            failure
        })
    }

    fn stream(&self, model: &str) -> Result<StreamName, Failure> {
        self.alive()?;
        match self.function.models.iter().any(|known| known == model) {
            true => Ok(stream(&self.sync, model)),
            false => Err(Failure::new(format!(
                "sync {} has no model {model}: its models are {}",
                self.function.name,
                self.function.models.join(", ")
            ))),
        }
    }

    fn writer(&self, model: &str) -> Result<(StreamName, Writer), Failure> {
        let name = self.stream(model)?;
        let merging = self.state().merging.get(model).copied().unwrap_or_default();
        let fence = Some(self.fence);
        Ok((name, Writer { fence, merging }))
    }

    async fn counted(&self, model: &str, outcome: Outcome) -> Result<Outcome, Failure> {
        reach("sync.saved");
        {
            let mut state = self.state();
            state
                .result
                .entry(model.to_owned())
                .or_default()
                .add(&outcome);
            if let Some(merging) = state.merging.get_mut(model) {
                *merging = outcome.next_merging;
            }
        }
        if !outcome.duplicates.is_empty() {
            let count = outcome.duplicates.len();
            let some = outcome.duplicates.iter().take(10).cloned();
            let some = some.collect::<Vec<_>>().join(", ");
            self.log(
                Level::Warn,
                format!(
                    "{count} records of {model} had an id that came before in their batch and \
                     were left out: {some}"
                ),
            );
        }
        self.tell().await?;
        Ok(outcome)
    }

    /// Writes down what was changed until now, from time to time.
    async fn tell(&self) -> Result<(), Failure> {
        let result = {
            let mut state = self.state();
            if state.told.is_some_and(|told| told.elapsed() < TELL_EVERY) {
                return Ok(());
            }
            state.told = Some(Instant::now());
            state.result.clone()
        };
        let told = async {
            let row = syncs::table
                .find((self.sync.environment_id, self.sync.id))
                .filter(syncs::run_fence.eq(self.fence));
            let updated = diesel::update(row)
                .set(syncs::run_result.eq(written(&result)?))
                .execute(&mut *self.core.db.conn().await?)
                .await?;
            match updated {
                0 => Err(Error::Stale),
                _ => Ok(()),
            }
        };
        self.known(told.await)
    }

    fn live_key(&self) -> LiveKey {
        let Facts {
            environment,
            integration,
            connection_id,
            ..
        } = &self.facts;
        LiveKey::new(*environment, integration, connection_id)
    }
}

/// What a run has changed, as it is stored.
pub(crate) fn written(result: &BTreeMap<String, crate::Counts>) -> Result<Value, Error> {
    serde_json::to_value(result).map_err(|cause| Error::Stored {
        what: "result of a run",
        cause: cause.to_string(),
    })
}

impl std::fmt::Debug for RunContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContext")
            .field("facts", &self.facts)
            .field("fence", &self.fence)
            .finish_non_exhaustive()
    }
}
