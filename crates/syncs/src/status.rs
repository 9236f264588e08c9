//! How syncs are (`GET /sync/status`).

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_jobs::schedules::{self, Live, Schedule};
use linkspan_records::Store;
use linkspan_shared::Core;
use linkspan_shared::db::schema::checkpoints;
use serde_json::Value;
use uuid::Uuid;

use crate::select::{Found, Scope, look};
use crate::sync::{CANCELLED, FAILED, RUNNING, SUCCEEDED};
use crate::{Error, RunResult, counts, frequency};

/// How a sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A run of it is under way.
    Running,
    /// It runs only when it is triggered.
    Paused,
    /// Its last run was cancelled.
    Stopped,
    /// Its last run succeeded, or it has not run yet.
    Success,
    /// Its last run failed.
    Error,
}

/// How a sync's last run is, or was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Execution {
    /// It is under way.
    Running,
    /// It succeeded.
    Success,
    /// It failed or was cancelled.
    Stopped,
}

/// A sync as `GET /sync/status` shows it.
#[derive(Debug, Clone)]
pub struct Status {
    /// Its number.
    pub id: Uuid,
    /// The connection's id.
    pub connection_id: String,
    /// The function's name.
    pub name: String,
    /// The variant.
    pub variant: String,
    /// How it is.
    pub state: State,
    /// Its last run; none when it has not run.
    pub execution: Option<Execution>,
    /// Whether the last run began from nothing.
    pub is_initial: bool,
    /// When the last run ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When its schedule is due; none while it is paused.
    pub next_at: Option<DateTime<Utc>>,
    /// How often it runs: the connection's own interval, or what the function says.
    pub frequency: String,
    /// What the last run changed, or has changed until now.
    pub result: Option<RunResult>,
    /// Records that are not deleted, by model.
    pub record_count: BTreeMap<String, i64>,
    /// How far it has come.
    pub checkpoint: Option<Value>,
}

/// How the syncs of a scope are. Those that are not there are left out.
///
/// # Errors
/// Those of the integration and the connection, and when a database fails.
pub async fn status(core: &Core, store: &Store, scope: &Scope<'_>) -> Result<Vec<Status>, Error> {
    let (found, around) = {
        let mut conn = core.db.conn().await?;
        let found = look(&mut conn, scope).await?;
        let around = Around::of(&mut conn, scope, &found).await?;
        (found, around)
    };
    let mut connections: Vec<i64> = found.iter().map(|found| found.sync.connection).collect();
    connections.dedup();
    let counts = store.live_counts(scope.environment, &connections).await?;
    let counts: HashMap<(i64, &str, &str), i64> = counts
        .iter()
        .map(|one| ((one.connection, &*one.variant, &*one.model), one.live))
        .collect();
    let shown = |found: Found| {
        let sync = &found.sync;
        let count = |model: &String| {
            let key = (sync.connection, &*sync.variant, &**model);
            (model.clone(), counts.get(&key).copied().unwrap_or(0))
        };
        let record_count = found.function.models.iter().map(count).collect();
        around.status(found, record_count)
    };
    Ok(found.into_iter().map(shown).collect())
}

/// What other tables say of syncs.
struct Around {
    schedules: HashMap<i64, Schedule>,
    live: HashMap<i64, Live>,
    checkpoints: HashMap<(i64, String), Value>,
}

impl Around {
    async fn of(
        conn: &mut linkspan_shared::db::Connection,
        scope: &Scope<'_>,
        found: &[Found],
    ) -> Result<Self, Error> {
        let ids: Vec<i64> = found.iter().filter_map(|f| f.sync.schedule_id).collect();
        let schedules = schedules::of_ids(conn, &ids).await?;
        let live = schedules::live(conn, &ids).await?;
        let connections: Vec<i64> = found.iter().map(|f| f.sync.connection).collect();
        let checkpoints: Vec<(i64, String, Value)> = checkpoints::table
            .filter(checkpoints::environment_id.eq(scope.environment))
            .filter(checkpoints::connection.eq_any(connections))
            .select((
                checkpoints::connection,
                checkpoints::key,
                checkpoints::value,
            ))
            .load(conn)
            .await?;
        Ok(Self {
            schedules: schedules.into_iter().map(|one| (one.id, one)).collect(),
            live: live.into_iter().map(|one| (one.schedule, one)).collect(),
            checkpoints: checkpoints
                .into_iter()
                .map(|(connection, key, value)| ((connection, key), value))
                .collect(),
        })
    }

    fn status(&self, found: Found, record_count: BTreeMap<String, i64>) -> Status {
        let Found {
            id,
            sync,
            function,
            connection_id,
        } = found;
        let live = sync.schedule_id.and_then(|id| self.live.get(&id));
        let is_this = live.is_some_and(|live| Some(live.job) == sync.run_job);
        let is_running = live.is_some_and(|live| live.is_running);
        let execution = match sync.run_status.as_deref() {
            // Between two attempts of a run it waits, and is under way.
            Some(RUNNING) if is_this || is_running => Some(Execution::Running),
            // Every worker that had it died in it.
            Some(RUNNING) => Some(Execution::Stopped),
            Some(SUCCEEDED) => Some(Execution::Success),
            Some(_) => Some(Execution::Stopped),
            None => None,
        };
        let state = match execution {
            Some(Execution::Running) => State::Running,
            _ if sync.is_paused() => State::Paused,
            None | Some(Execution::Success) => State::Success,
            Some(Execution::Stopped) if sync.run_status.as_deref() == Some(CANCELLED) => {
                State::Stopped
            }
            Some(Execution::Stopped) => State::Error,
        };
        debug_assert!(
            sync.run_status
                .as_deref()
                .is_none_or(|word| [RUNNING, SUCCEEDED, FAILED, CANCELLED].contains(&word))
        );
        let schedule = sync.schedule_id.and_then(|id| self.schedules.get(&id));
        let key = (sync.connection, sync.checkpoint_key(&function));
        Status {
            id,
            connection_id,
            execution,
            state,
            is_initial: sync.run_is_initial,
            finished_at: match execution {
                Some(Execution::Running) => None,
                _ => sync.run_finished_at,
            },
            next_at: schedule
                .filter(|schedule| !schedule.is_paused)
                .map(|schedule| schedule.next_at),
            frequency: match &sync.frequency {
                Some(own) => frequency::interval(own),
                None => function.frequency,
            },
            result: execution.map(|_| counts::read(sync.run_result.as_ref())),
            record_count,
            checkpoint: self.checkpoints.get(&key).cloned(),
            name: function.name,
            variant: sync.variant,
        }
    }
}
