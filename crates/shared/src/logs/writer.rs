//! Stores operations in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, Utc};
use diesel::sql_types::{self, Array, Int2, Int4, Jsonb, Nullable, Text, Timestamptz};
use diesel_async::RunQueryDsl;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use uuid::Uuid;

use super::Operation;
use super::table::Partitions;
use crate::db::{Connection, Database};

/// Operations that wait to be stored. Beyond this they are dropped and counted:
/// a slow log must not slow the calls that it describes.
const QUEUE: usize = 20_000;
/// Operations in one INSERT, at most. Of 250 a quarter was dropped at 34,000
/// calls a second (docs/performance.md), and no latency was better for it.
const BATCH: usize = 1_000;
/// INSERTs under way at once: the next is made while Postgres has the last.
const UNDER_WAY: usize = 2;
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

    async fn insert(self, conn: &mut Connection) -> Result<(), diesel::result::Error> {
        diesel::sql_query(
            "INSERT INTO logs.operations (environment_id, created_at, id, kind, action, status, \
             integration, provider, connection_id, duration_ms, http_status, error_code, \
             messages) SELECT * FROM \
             unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
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
    db: Database,
}

/// The task that stores them.
#[derive(Debug)]
pub struct WriterTask(JoinHandle<()>);

impl Writer {
    /// Starts the task, on the current runtime. With each day's first operation
    /// it drops those that are more than `retention_days` days old.
    #[must_use]
    pub fn start(db: Database, retention_days: u32) -> (Self, WriterTask) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let dropped = Arc::new(AtomicU64::new(0));
        let partitions = Partitions::new(retention_days);
        let task = tokio::spawn(store_all(
            db.clone(),
            partitions,
            waiting,
            Arc::clone(&dropped),
        ));
        let writer = Self { queue, dropped, db };
        (writer, WriterTask(task))
    }

    /// Where the operations are, for [`read`](super::read).
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.db
    }

    /// Hands over an operation that has ended now. Never waits.
    pub fn write(&self, mut operation: Operation) {
        let took = Utc::now() - operation.created_at;
        operation.duration_ms = i32::try_from(took.num_milliseconds()).unwrap_or(i32::MAX);
        if self.queue.try_send(operation).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl WriterTask {
    /// Waits until everything handed over is stored; for shutting down, after
    /// every [`Writer`] is gone.
    pub async fn finish(self) {
        if let Err(error) = self.0.await {
            tracing::error!(%error, "the log writer failed");
        }
    }
}

async fn store_all(
    db: Database,
    mut partitions: Partitions,
    mut waiting: mpsc::Receiver<Operation>,
    dropped: Arc<AtomicU64>,
) {
    let mut storing = JoinSet::new();
    let mut batch = Vec::new();
    while waiting.recv_many(&mut batch, BATCH).await > 0 {
        let deadline = tokio::time::Instant::now() + LINGER;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            match tokio::time::timeout_at(deadline, waiting.recv_many(&mut batch, room)).await {
                Ok(received) if received > 0 => {}
                _ => break,
            }
        }
        let batch = std::mem::take(&mut batch);
        if storing.len() >= UNDER_WAY {
            one_ends(&mut storing).await;
        }
        match make_partitions(&db, &mut partitions, &batch).await {
            Ok(()) => {
                storing.spawn(store(db.clone(), batch));
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
    while !storing.is_empty() {
        one_ends(&mut storing).await;
    }
}

async fn one_ends(storing: &mut JoinSet<()>) {
    if let Some(Err(error)) = storing.join_next().await {
        tracing::error!(%error, "a batch of operations was lost");
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
    if let Err(error) = stored {
        say_lost(&error, count);
    }
}

fn say_lost(error: &crate::db::Error, lost: usize) {
    tracing::error!(%error, lost, "operations could not be logged");
}
