//! The row of a sync, and its jobs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_jobs::{Enqueued, Kind, NewJob, schedules};
use linkspan_shared::db::Connection;
use linkspan_shared::db::schema::{sync_functions, syncs};
use linkspan_shared::tenancy::EnvironmentId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::functions::Recorded;
use crate::{Error, frequency};

/// Its schedule makes runs.
pub(crate) const STARTED: &str = "started";
/// It runs only when it is told to.
pub(crate) const PAUSED: &str = "paused";
/// It is deleted as soon as no run of it is under way.
pub(crate) const LEAVING: &str = "leaving";

/// Words of `syncs.run_status`.
pub(crate) const RUNNING: &str = "running";
pub(crate) const SUCCEEDED: &str = "succeeded";
pub(crate) const FAILED: &str = "failed";
pub(crate) const CANCELLED: &str = "cancelled";

/// A sync.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = syncs)]
pub(crate) struct Sync {
    pub(crate) environment_id: EnvironmentId,
    pub(crate) id: Uuid,
    pub(crate) connection: i64,
    pub(crate) function_id: Uuid,
    pub(crate) variant: String,
    pub(crate) state: String,
    pub(crate) frequency: Option<String>,
    pub(crate) schedule_id: Option<i64>,
    pub(crate) is_reset_due: bool,
    pub(crate) empties_asked: i64,
    pub(crate) empties_done: i64,
    pub(crate) is_again_due: bool,
    pub(crate) synced_at: Option<DateTime<Utc>>,
    pub(crate) run_job: Option<i64>,
    pub(crate) run_status: Option<String>,
    pub(crate) run_is_initial: bool,
    pub(crate) run_started_at: Option<DateTime<Utc>>,
    pub(crate) run_finished_at: Option<DateTime<Utc>>,
    pub(crate) run_result: Option<serde_json::Value>,
}

impl Sync {
    /// Reads a sync with its function and keeps both as they are until the
    /// transaction ends. None when it is not there, or leaves.
    pub(crate) async fn lock(
        conn: &mut Connection,
        environment: EnvironmentId,
        id: Uuid,
    ) -> Result<Option<(Self, Recorded)>, Error> {
        let sync: Option<Self> = syncs::table
            .find((environment, id))
            .filter(syncs::state.ne(LEAVING))
            .select(Self::as_select())
            .for_update()
            .first(conn)
            .await
            .optional()?;
        let Some(sync) = sync else {
            return Ok(None);
        };
        let function = sync_functions::table
            .find((environment, sync.function_id))
            .select(Recorded::as_select())
            .first(conn)
            .await
            .optional()?;
        Ok(function.map(|function| (sync, function)))
    }

    /// Reads syncs and keeps them as they are until the transaction ends, those of
    /// the lowest ids first. Those that are not there, or leave, are left out.
    pub(crate) async fn lock_all(
        conn: &mut Connection,
        environment: EnvironmentId,
        ids: &[Uuid],
    ) -> Result<Vec<Self>, Error> {
        Ok(syncs::table
            .filter(syncs::environment_id.eq(environment))
            .filter(syncs::id.eq_any(ids))
            .filter(syncs::state.ne(LEAVING))
            .order(syncs::id)
            .select(Self::as_select())
            .for_update()
            .load(conn)
            .await?)
    }

    /// The name of its schedule.
    pub(crate) fn schedule_key(&self) -> String {
        schedule_key(self.id)
    }

    /// The key of its checkpoint.
    pub(crate) fn checkpoint_key(&self, function: &Recorded) -> String {
        checkpoint_key(&function.name, &self.variant)
    }

    /// When it is due, as its schedule takes it.
    pub(crate) fn spec(&self, function: &Recorded) -> String {
        frequency::normal(self.frequency.as_deref().unwrap_or(&function.frequency))
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.state == PAUSED
    }

    /// Whether the next run empties its records first.
    pub(crate) fn is_empty_due(&self) -> bool {
        self.empties_asked > self.empties_done
    }

    /// A run for now, which counts as its schedule's: it is added unless one waits
    /// or runs. None while the sync has no schedule.
    pub(crate) fn run_now(&self, reason: Reason) -> Result<Option<NewJob>, Error> {
        let Some(schedule) = self.schedule_id else {
            return Ok(None);
        };
        let key = schedules::unique_key(schedule);
        Ok(Some(self.job(reason)?.unique_key(key)))
    }

    /// Enqueues a run for now, unless one waits or runs.
    pub(crate) async fn enqueue(
        &self,
        conn: &mut Connection,
        reason: Reason,
    ) -> Result<Enqueued, Error> {
        let Some(job) = self.run_now(reason)? else {
            return Ok(Enqueued::AlreadyLive);
        };
        let enqueued = linkspan_jobs::enqueue(conn, &[job]).await?;
        Ok(enqueued.into_iter().next().unwrap_or(Enqueued::AlreadyLive))
    }

    /// A run of it.
    pub(crate) fn job(&self, reason: Reason) -> Result<NewJob, Error> {
        let run = RunSync {
            environment: self.environment_id,
            sync: self.id,
            reason,
        };
        of_environment(NewJob::new(&run)?, self.environment_id)
    }
}

/// The name of a sync's schedule.
pub(crate) fn schedule_key(sync: Uuid) -> String {
    format!("sync:{sync}")
}

/// The key of a sync's checkpoint among those of its connection.
pub(crate) fn checkpoint_key(name: &str, variant: &str) -> String {
    format!("sync:{name}:{variant}")
}

/// Environments take turns, and one limit holds for all of an environment's.
pub(crate) fn of_environment(job: NewJob, environment: EnvironmentId) -> Result<NewJob, Error> {
    let key = environment.to_string();
    Ok(job.group(key.clone()).tenant(key))
}

/// Why a run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Its schedule says so.
    Schedule,
    /// Its connection, its function or its variant is new.
    Created,
    /// It was paused and was started.
    Started,
    /// Somebody triggered it.
    Triggered,
}

impl Reason {
    /// The word in the table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Created => "created",
            Self::Started => "started",
            Self::Triggered => "triggered",
        }
    }

    /// In words, for the log.
    #[must_use]
    pub const fn told(self) -> &'static str {
        match self {
            Self::Schedule => "its schedule is due",
            Self::Created => "it is new",
            Self::Started => "it was started after a pause",
            Self::Triggered => "it was triggered",
        }
    }
}

/// The job that is a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunSync {
    /// The environment.
    pub environment: EnvironmentId,
    /// The sync.
    pub sync: Uuid,
    /// Why it runs.
    pub reason: Reason,
}

impl RunSync {
    /// How often a run is begun. Only what is lost by no fault of the function is
    /// repeated: a worker that died, a database that was away.
    pub(crate) const ATTEMPTS: u16 = 6;
}

impl Kind for RunSync {
    const NAME: &'static str = "syncs.run";
    /// A day.
    const RUN_LIMIT: Duration = Duration::from_secs(86_400);
    /// After [`Self::ATTEMPTS`] the next one only writes down that the run has failed,
    /// and has follow what was to follow it: a dead job would do neither.
    const MAX_ATTEMPTS: u16 = 1_000;
}

/// Runs a sync once more after the run that is ending.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Again {
    /// The environment.
    pub environment: EnvironmentId,
    /// The sync.
    pub sync: Uuid,
}

impl Kind for Again {
    const NAME: &'static str = "syncs.again";
    const RUN_LIMIT: Duration = Duration::from_secs(60);
    /// It waits for a run to end, a second each time.
    const MAX_ATTEMPTS: u16 = 10_000;
}

impl Again {
    /// Its job.
    pub(crate) fn job(sync: &Sync) -> Result<NewJob, Error> {
        let again = Self {
            environment: sync.environment_id,
            sync: sync.id,
        };
        let job = NewJob::new(&again)?.unique_key(format!("{}:{}", Self::NAME, sync.id));
        of_environment(job, sync.environment_id)
    }
}

/// Deletes what is left of a sync that leaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Leave {
    /// The environment.
    pub environment: EnvironmentId,
    /// The sync.
    pub sync: Uuid,
    /// The number that its schedule had.
    pub schedule: Option<i64>,
}

impl Kind for Leave {
    const NAME: &'static str = "syncs.leave";
    const RUN_LIMIT: Duration = Duration::from_secs(600);
    /// It waits for a run to end, a second each time.
    const MAX_ATTEMPTS: u16 = 10_000;
}

impl Leave {
    /// Its job.
    pub(crate) fn job(&self) -> Result<NewJob, Error> {
        of_environment(NewJob::new(self)?, self.environment)
    }
}
