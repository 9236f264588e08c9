//! Stores operations in batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::Operation;
use super::table::{Partitions, operations};
use crate::db::Database;
use crate::tenancy::EnvironmentId;

/// Operations that wait to be stored. Beyond this they are dropped and counted:
/// a slow log must not slow the calls that it describes.
const QUEUE: usize = 20_000;
/// Rows in one INSERT; Postgres takes 65,535 parameters, thirteen a row.
const BATCH: usize = 1_000;
/// How long an operation waits for others to share its INSERT.
const LINGER: Duration = Duration::from_millis(250);

#[derive(Insertable)]
#[diesel(table_name = operations)]
struct NewRow {
    environment_id: EnvironmentId,
    created_at: DateTime<Utc>,
    id: Uuid,
    kind: &'static str,
    action: &'static str,
    status: &'static str,
    integration: Option<String>,
    provider: Option<String>,
    connection_id: Option<String>,
    duration_ms: i32,
    http_status: Option<i16>,
    error_code: Option<&'static str>,
    messages: Value,
}

impl From<Operation> for NewRow {
    fn from(operation: Operation) -> Self {
        Self {
            environment_id: operation.environment_id,
            created_at: operation.created_at,
            id: operation.id,
            kind: operation.kind.as_str(),
            action: operation.action,
            status: operation.status.as_str(),
            integration: operation.integration,
            provider: operation.provider,
            connection_id: operation.connection_id,
            duration_ms: operation.duration_ms,
            http_status: operation.http_status,
            error_code: operation.error_code,
            messages: serde_json::to_value(operation.messages).unwrap_or_default(),
        }
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
        let rows: Vec<NewRow> = batch.drain(..).map(NewRow::from).collect();
        if let Err(error) = store(&db, &mut partitions, &rows).await {
            tracing::error!(%error, lost = rows.len(), "operations could not be logged");
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

async fn store(
    db: &Database,
    partitions: &mut Partitions,
    rows: &[NewRow],
) -> Result<(), crate::db::Error> {
    let mut conn = db.conn().await?;
    for row in rows {
        partitions
            .ensure(&mut conn, row.created_at.date_naive())
            .await?;
    }
    diesel::insert_into(operations::table)
        .values(rows)
        .execute(&mut conn)
        .await?;
    Ok(())
}
