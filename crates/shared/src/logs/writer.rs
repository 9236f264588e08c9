//! Stores operations in batches.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{self, Array, Int2, Int4, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use metrics::{Counter, gauge};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use uuid::Uuid;

use super::budget::{Budget, Outcome};
use super::table::Partitions;
use super::{Operation, counted};
use crate::db::{Connection, Database};
use crate::meter;

/// Operations that wait to be stored. Of those beyond this plain successes are
/// counted, and others are dropped with a warning: a slow log must not slow the
/// calls that it describes.
const QUEUE: usize = 20_000;
/// Operations in one INSERT, at most: what is left when Postgres was slow.
const BATCH: usize = 1_000;
/// From so many on they are stored without waiting for more. Postgres takes some
/// 10 microseconds for each, in which it keeps a processor from the calls: an
/// INSERT of 1,000 at once is what their slowest one in a hundred waited for
/// (docs/performance.md, "What the log costs").
const ENOUGH: usize = 50;
/// How often it is looked whether there are enough. To be woken for each cost a
/// tenth of a busy server's processor time.
const LOOK: Duration = Duration::from_millis(5);
/// How long an operation waits for others to share its INSERT.
const LINGER: Duration = Duration::from_millis(250);

/// Operations by column: one statement of thirteen arrays, however many rows. A
/// parameter for each value would make thirteen thousand of them, which Postgres
/// reads and plans again for each batch, since statements have no names.
#[derive(Default)]
struct Columns {
    environment_id: Vec<Uuid>,
    created_at: Vec<DateTime<Utc>>,
    id: Vec<Uuid>,
    kind: Vec<&'static str>,
    action: Vec<&'static str>,
    status: Vec<&'static str>,
    integration: Vec<Option<String>>,
    provider: Vec<Option<String>>,
    connection_id: Vec<Option<String>>,
    duration_ms: Vec<i32>,
    http_status: Vec<Option<i16>>,
    error_code: Vec<Option<&'static str>>,
    messages: Vec<Value>,
}

impl Columns {
    fn push(&mut self, mut operation: Operation) {
        for message in &mut operation.messages {
            // Postgres has no NUL in its texts and would refuse the whole batch
            // for one that a provider wrote.
            if message.text.contains('\0') {
                message.text = message.text.replace('\0', "\u{fffd}");
            }
        }
        let messages = serde_json::to_value(operation.messages);
        self.environment_id.push(operation.environment_id.0);
        self.created_at.push(operation.created_at);
        self.id.push(operation.id);
        self.kind.push(operation.kind.as_str());
        self.action.push(operation.action);
        self.status.push(operation.status.as_str());
        self.integration.push(operation.integration);
        self.provider.push(operation.provider);
        self.connection_id.push(operation.connection_id);
        self.duration_ms.push(operation.duration_ms);
        self.http_status.push(operation.http_status);
        self.error_code.push(operation.error_code);
        self.messages.push(messages.unwrap_or_default());
    }

    /// The commit does not wait for the disk, nor for a replica. When Postgres
    /// itself is killed, the operations of its last 0.6 s may be gone, as
    /// those are that a killed server still had in its queue; nothing else is
    /// written this way. The setting ends with the statement's transaction.
    async fn insert(self, conn: &mut Connection) -> Result<(), diesel::result::Error> {
        diesel::sql_query(
            "INSERT INTO logs.operations (environment_id, created_at, id, kind, action, status, \
             integration, provider, connection_id, duration_ms, http_status, error_code, \
             messages) SELECT operation.* \
             FROM (SELECT set_config('synchronous_commit', 'off', true)) AS commit, \
             unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) AS operation",
        )
        .bind::<Array<sql_types::Uuid>, _>(self.environment_id)
        .bind::<Array<Timestamptz>, _>(self.created_at)
        .bind::<Array<sql_types::Uuid>, _>(self.id)
        .bind::<Array<Text>, _>(self.kind)
        .bind::<Array<Text>, _>(self.action)
        .bind::<Array<Text>, _>(self.status)
        .bind::<Array<Nullable<Text>>, _>(self.integration)
        .bind::<Array<Nullable<Text>>, _>(self.provider)
        .bind::<Array<Nullable<Text>>, _>(self.connection_id)
        .bind::<Array<Int4>, _>(self.duration_ms)
        .bind::<Array<Nullable<Int2>>, _>(self.http_status)
        .bind::<Array<Nullable<Text>>, _>(self.error_code)
        .bind::<Array<Jsonb>, _>(self.messages)
        .execute(conn)
        .await?;
        Ok(())
    }
}

/// Where operations are handed over. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Writer {
    queue: mpsc::Sender<Operation>,
    dropped: Arc<AtomicU64>,
    budget: Arc<Budget>,
    /// Wakes the task that stores counts.
    counted: mpsc::Sender<()>,
    db: Database,
    refused: Counter,
    left_out: Counter,
}

/// What is kept, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// Days that operations and counts are kept.
    pub retention_days: u32,
    /// Plain successes of one environment that this process stores in a second;
    /// the others are counted. All are stored when absent.
    pub operations_per_second: Option<NonZeroU32>,
}

/// The tasks that store them, and the counts of the others.
#[derive(Debug)]
pub struct WriterTask([JoinHandle<()>; 2]);

impl Writer {
    /// Starts the tasks, on the current runtime. With each day's first operation
    /// they drop what is older than it is to be kept.
    #[must_use]
    pub fn start(db: Database, settings: Settings) -> (Self, WriterTask) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (counted, woken) = mpsc::channel(1);
        let dropped = Arc::new(AtomicU64::new(0));
        let budget = Arc::new(Budget::new(settings.operations_per_second));
        let partitions = Partitions::new(settings.retention_days);
        let stored = store_all(db.clone(), partitions, waiting, Arc::clone(&dropped));
        let counts = counted::store_all(db.clone(), Arc::clone(&budget), woken);
        let tasks = [tokio::spawn(stored), tokio::spawn(counts)];
        let writer = Self {
            queue,
            dropped,
            budget,
            counted,
            db,
            refused: meter::operations("dropped"),
            left_out: meter::operations("counted"),
        };
        (writer, WriterTask(tasks))
    }

    /// Where the operations are, for [`read`](super::read).
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Hands over an operation that has ended now. Never waits.
    pub fn write(&self, operation: Operation) {
        let outcome = match self.budget.decide(operation) {
            Outcome::Store(operation) => self.store(operation),
            counted @ Outcome::Counted { .. } => Some(counted),
        };
        if let Some(Outcome::Counted { is_first }) = outcome {
            self.left_out.increment(1);
            if is_first {
                // When it is full, the task is about to look.
                let _ = self.counted.try_send(());
            }
        }
    }

    /// Queues an operation. When the queue is full, it is counted if it may be.
    fn store(&self, mut operation: Operation) -> Option<Outcome> {
        let took = Utc::now() - operation.created_at;
        operation.duration_ms = i32::try_from(took.num_milliseconds()).unwrap_or(i32::MAX);
        let (TrySendError::Full(operation) | TrySendError::Closed(operation)) =
            self.queue.try_send(operation).err()?;
        let counted = self.budget.count(operation);
        if counted.is_none() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            self.refused.increment(1);
        }
        counted
    }

    /// Sets the gauges of the queue.
    pub(crate) fn observe(&self) {
        let limit = self.queue.max_capacity();
        let waiting = limit.saturating_sub(self.queue.capacity());
        gauge!("linkspan_log_queue_length").set(waiting as f64);
        gauge!("linkspan_log_queue_limit").set(limit as f64);
    }
}

impl WriterTask {
    /// Waits until everything handed over is stored; for shutting down, after
    /// every [`Writer`] is gone.
    pub async fn finish(self) {
        for task in self.0 {
            if let Err(error) = task.await {
                tracing::error!(%error, "the log writer failed");
            }
        }
    }
}

async fn store_all(
    db: Database,
    mut partitions: Partitions,
    mut waiting: mpsc::Receiver<Operation>,
    dropped: Arc<AtomicU64>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        gather(&mut waiting, &mut batch).await;
        // One INSERT after the other: more would take the processors' time at
        // once, and what comes meanwhile shares the next.
        let batch = std::mem::take(&mut batch);
        match make_partitions(&db, &mut partitions, &batch).await {
            Ok(()) => {
                if let Err(error) = tokio::spawn(store(db.clone(), batch)).await {
                    tracing::error!(%error, "a batch of operations was lost");
                }
            }
            Err(error) => say_lost(&error, batch.len()),
        }
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(
                lost,
                "operations were not logged: they came faster than they are stored"
            );
        }
    }
}

/// Waits until there are [`ENOUGH`], or those that are there have waited long.
/// Meanwhile nothing is woken by an operation that comes.
async fn gather(waiting: &mut mpsc::Receiver<Operation>, batch: &mut Vec<Operation>) {
    let deadline = Instant::now() + LINGER;
    while batch.len() < ENOUGH && Instant::now() < deadline && !waiting.is_closed() {
        tokio::time::sleep(LOOK).await;
        while batch.len() < BATCH {
            match waiting.try_recv() {
                Ok(operation) => batch.push(operation),
                Err(_) => break,
            }
        }
    }
}

async fn make_partitions(
    db: &Database,
    partitions: &mut Partitions,
    batch: &[Operation],
) -> Result<(), crate::db::Error> {
    let days = batch.iter().map(|one| one.created_at.date_naive());
    let missing: Vec<NaiveDate> = days.filter(|day| !partitions.knows(*day)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut conn = db.conn().await?;
    for day in missing {
        partitions.ensure(&mut conn, day).await?;
    }
    Ok(())
}

async fn store(db: Database, batch: Vec<Operation>) {
    let count = batch.len();
    let mut columns = Columns::default();
    for operation in batch {
        columns.push(operation);
    }
    let stored: Result<(), crate::db::Error> = async {
        let mut conn = db.conn().await?;
        columns.insert(&mut conn).await?;
        Ok(())
    }
    .await;
    match stored {
        Ok(()) => meter::operations("stored").increment(count as u64),
        Err(error) => say_lost(&error, count),
    }
}

fn say_lost(error: &crate::db::Error, lost: usize) {
    meter::operations("failed").increment(lost as u64);
    tracing::error!(%error, lost, "operations could not be logged");
}
