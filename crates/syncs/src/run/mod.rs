//! One run of a sync.

mod begin;
mod log;

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use futures_util::FutureExt as _;
use linkspan_jobs::Kind as _;
use linkspan_records::Store;
use linkspan_shared::Core;
use linkspan_shared::breakpoint::reach;
use linkspan_shared::db::schema::syncs;
use linkspan_shared::logs::{Kind, Operation};
use tokio_util::sync::CancellationToken;

use crate::context::written;
use crate::sync::{Again, CANCELLED, FAILED, RunSync, SUCCEEDED, Sync};
use crate::{Error, Failure, Functions, RunContext, meter};

use self::begin::{begin, forget, prepare};
use self::log::{conclude, introduce};

/// How long a function that is told to end may take for it: less than what its job
/// has for it, so that what became of the run can be written down.
const GRACE: Duration = Duration::from_secs(3);

/// What an attempt is called in metrics after which the run is not over.
pub(crate) const INTERRUPTED: &str = "interrupted";

/// The job that is the run.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// The job.
    pub job: i64,
    /// Higher than that of every earlier run.
    pub fence: i64,
    /// Which attempt it is; the first is 1.
    pub attempt: u16,
}

/// Why a run is to end before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Somebody cancelled it.
    Cancelled,
    /// It took longer than it may.
    Overtime,
    /// Its worker stops, and another one goes on.
    HandedBack,
    /// It is another worker's by now.
    Lost,
}

/// Tells a run to end. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Stopping {
    token: CancellationToken,
    why: Arc<OnceLock<Stop>>,
}

impl Stopping {
    /// Nobody has told it yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells it. The first reason counts.
    pub fn stop(&self, why: Stop) {
        let _ = self.why.set(why);
        self.token.cancel();
    }

    fn why(&self) -> Option<Stop> {
        self.why.get().copied()
    }
}

/// What became of a run, for its job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It is written down, whether the function succeeded or not.
    Done,
    /// There is no such sync any more.
    Gone,
    /// It was cancelled, handed back or lost: the job knows which.
    Stopped,
    /// It failed by no fault of the function, and is to be repeated.
    Repeat(String),
}

/// Runs a sync once. Every write of it is refused when a later run has begun.
///
/// # Errors
/// When a database fails around the function: the job is to be repeated.
pub async fn run(
    core: &Core,
    store: &Store,
    functions: &dyn Functions,
    job: &RunSync,
    claim: Claim,
    stopping: &Stopping,
) -> Result<Ended, Error> {
    let mut operation = Operation::begin(job.environment, Kind::Sync, "run");
    let Some(begun) = begin(core, job, claim, operation.id).await? else {
        forget(core, job).await?;
        return Ok(Ended::Gone);
    };
    reach("sync.begun");
    introduce(&mut operation, &begun, job, claim);
    let started = Instant::now();
    prepare(core, store, &begun, claim).await?;
    let run = Run {
        core,
        job,
        claim,
        models: begun.function.models.clone(),
        track_deletes: begun.function.track_deletes,
    };
    let function = functions.find(&begun.function).await;
    let context = RunContext::new(core, store, begun, stopping.token.clone());
    let result = match function {
        _ if claim.attempt > RunSync::ATTEMPTS => Err(Failure::new(format!(
            "each of its {} attempts was cut off: its worker died, perhaps for want of memory, \
             or the database was away",
            RunSync::ATTEMPTS
        ))),
        Some(function) => {
            let work = run.work(&*function, &context);
            within(work, stopping).await
        }
        None => Err(Failure::Outage(
            "this worker has not the code of the function: another version of it may".to_owned(),
        )),
    };
    reach("sync.ran");
    let ended = run.end(result, &context, stopping, &mut operation).await;
    meter::ended(word(&ended), started.elapsed(), &context.result());
    conclude(&mut operation, &context);
    core.logs.write(operation);
    let ended = ended?;
    reach("sync.finished");
    Ok(ended.0)
}

/// The function's result, unless it is told to end and does not in time.
async fn within(
    work: impl Future<Output = Result<(), Failure>>,
    stopping: &Stopping,
) -> Result<(), Failure> {
    let work = AssertUnwindSafe(work).catch_unwind();
    tokio::pin!(work);
    let ending = async {
        stopping.token.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        result = &mut work => result.unwrap_or_else(|panic| Err(panicked(&*panic))),
        () = ending => Err(Failure::Stopped),
    }
}

fn panicked(panic: &(dyn std::any::Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message");
    Failure::new(format!("the function panicked: {text}"))
}

/// A run under way.
struct Run<'a> {
    core: &'a Core,
    job: &'a RunSync,
    claim: Claim,
    models: Vec<String>,
    track_deletes: bool,
}

/// What became of it, and its word in the table; none when nothing was written.
type Written = (Ended, &'static str);

impl Run<'_> {
    async fn work(
        &self,
        function: &dyn crate::SyncFunction,
        context: &RunContext,
    ) -> Result<(), Failure> {
        if self.track_deletes {
            for model in &self.models {
                context.track_deletes_start(model).await?;
            }
        }
        function.run(context).await?;
        if self.track_deletes {
            for model in &self.models {
                context.track_deletes_end(model).await?;
            }
        }
        Ok(())
    }

    async fn end(
        &self,
        result: Result<(), Failure>,
        context: &RunContext,
        stopping: &Stopping,
        operation: &mut Operation,
    ) -> Result<Written, Error> {
        let failure = match result {
            Ok(()) => {
                self.write(SUCCEEDED, None, context).await?;
                return Ok((Ended::Done, SUCCEEDED));
            }
            Err(failure) => failure,
        };
        match stopping.why() {
            Some(Stop::Cancelled) => {
                operation.fail(Some("script_cancelled"), "The run was cancelled");
                self.write(CANCELLED, None, context).await?;
                return Ok((Ended::Stopped, CANCELLED));
            }
            Some(Stop::HandedBack) => {
                operation.fail(None, "Its worker stops: the run is repeated by another");
                return Ok((Ended::Stopped, INTERRUPTED));
            }
            Some(Stop::Lost) => {
                operation.fail(None, "Another worker has taken this run over");
                return Ok((Ended::Stopped, INTERRUPTED));
            }
            Some(Stop::Overtime) => {
                let limit = RunSync::RUN_LIMIT.as_secs() / 3_600;
                let message = format!("It ran for longer than the {limit} hours that it may");
                return self
                    .failed("execution_timeout", message, context, operation)
                    .await;
            }
            None => {}
        }
        let is_last = self.claim.attempt >= RunSync::ATTEMPTS;
        match failure {
            Failure::Replaced(message) => {
                operation.fail(None, message);
                Ok((Ended::Stopped, INTERRUPTED))
            }
            failure if !is_last && is_outage(&failure, context) => {
                let message = failure.to_string();
                operation.fail(None, format!("It is repeated in a moment: {message}"));
                Ok((Ended::Repeat(message), INTERRUPTED))
            }
            failure => {
                let message = failure.to_string();
                self.failed("sync_script_failure", message, context, operation)
                    .await
            }
        }
    }

    async fn failed(
        &self,
        code: &'static str,
        message: String,
        context: &RunContext,
        operation: &mut Operation,
    ) -> Result<Written, Error> {
        operation.fail(Some(code), message.clone());
        self.write(FAILED, Some(message), context).await?;
        Ok((Ended::Done, FAILED))
    }

    /// Writes down how the run ended, if it is still the sync's, and has another
    /// one follow if that was asked for.
    async fn write(
        &self,
        status: &'static str,
        error: Option<String>,
        context: &RunContext,
    ) -> Result<(), Error> {
        let result = written(&context.result())?;
        let error = error.map(|text| text.replace('\0', "\u{fffd}"));
        let mut conn = self.core.db.conn().await?;
        let follows = conn
            .transaction(async |conn| {
                let row = syncs::table
                    .find((self.job.environment, self.job.sync))
                    .filter(syncs::run_fence.eq(self.claim.fence));
                let sync: Option<Sync> = diesel::update(row)
                    .set((
                        syncs::run_status.eq(status),
                        syncs::run_finished_at.eq(diesel::dsl::now),
                        syncs::run_result.eq(result),
                        syncs::run_error.eq(error),
                        syncs::updated_at.eq(diesel::dsl::now),
                        // In this one statement: Postgres looks at the environment of a
                        // row that is changed twice, and waits for who deletes it.
                        (status == SUCCEEDED).then(|| syncs::synced_at.eq(syncs::run_started_at)),
                    ))
                    .returning(Sync::as_returning())
                    .get_result(conn)
                    .await
                    .optional()?;
                // It is gone, or a later run's.
                let Some(sync) = sync else {
                    return Ok(false);
                };
                if sync.is_again_due {
                    linkspan_jobs::enqueue(conn, &[Again::job(&sync)?]).await?;
                }
                Ok::<_, Error>(sync.is_again_due)
            })
            .await?;
        if follows {
            self.core.jobs.wake();
        }
        Ok(())
    }
}

fn is_outage(failure: &Failure, context: &RunContext) -> bool {
    matches!(failure, Failure::Outage(_)) || context.had_outage()
}

fn word(ended: &Result<Written, Error>) -> &'static str {
    ended.as_ref().map_or(INTERRUPTED, |(_, word)| word)
}
