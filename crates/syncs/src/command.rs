//! What a sync is told: start, pause, run, stop.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_jobs::cancel::Which;
use linkspan_jobs::{Enqueued, schedules};
use linkspan_shared::Core;
use linkspan_shared::db::Connection;
use linkspan_shared::db::schema::syncs;
use linkspan_shared::logs::{Kind, Level, Operation};
use linkspan_shared::tenancy::EnvironmentId;
use uuid::Uuid;

use crate::Error;
use crate::select::{Found, Scope, resolve};
use crate::sync::{Again, CANCELLED, FAILED, PAUSED, RUNNING, Reason, STARTED, SUCCEEDED, Sync};

/// What a triggered run does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Opts {
    /// Forget the checkpoint: sync everything.
    pub reset: bool,
    /// Delete the records.
    pub empty_cache: bool,
}

/// What syncs are told.
#[derive(Debug, Clone, Copy)]
enum Command {
    Start,
    Pause,
    Cancel,
    Trigger(Opts),
}

impl Command {
    /// Its name in the log.
    const fn action(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Pause => "pause",
            Self::Cancel => "cancel",
            Self::Trigger(Opts {
                reset: false,
                empty_cache: false,
            }) => "trigger",
            Self::Trigger(_) => "trigger_full",
        }
    }
}

/// Lets syncs run by their schedules, and at once. Those that do already are left
/// alone.
///
/// # Errors
/// [`Error::NoSyncs`], and those of the integration and the connection.
pub async fn start(core: &Core, scope: &Scope<'_>) -> Result<(), Error> {
    each(core, scope, Command::Start).await
}

/// Lets syncs run no more by their schedules, and cancels their runs.
///
/// # Errors
/// As [`start`].
pub async fn pause(core: &Core, scope: &Scope<'_>) -> Result<(), Error> {
    each(core, scope, Command::Pause).await
}

/// Cancels the runs of syncs that wait or are under way. Their schedules go on.
///
/// # Errors
/// As [`start`].
pub async fn cancel(core: &Core, scope: &Scope<'_>) -> Result<(), Error> {
    each(core, scope, Command::Cancel).await
}

/// Runs syncs now, also those that are paused. While one runs another run
/// follows it; with [`Opts`] the one under way is cancelled first.
///
/// # Errors
/// As [`start`].
pub async fn trigger(core: &Core, scope: &Scope<'_>, opts: Opts) -> Result<(), Error> {
    each(core, scope, Command::Trigger(opts)).await
}

/// Carries a command out on a sync that is locked. What it came to.
async fn carry_out(
    conn: &mut Connection,
    sync: &mut Sync,
    command: Command,
) -> Result<&'static str, Error> {
    match command {
        Command::Start if !sync.is_paused() => Ok("runs by its schedule already"),
        Command::Start => {
            set_state(conn, sync, STARTED).await?;
            schedules::resume(conn, &sync.schedule_key()).await?;
            if sync.enqueue(conn, Reason::Started).await? == Enqueued::AlreadyLive {
                follow_cancelled(conn, sync).await?;
            }
            Ok("started")
        }
        Command::Pause => {
            set_state(conn, sync, PAUSED).await?;
            schedules::pause(conn, &sync.schedule_key()).await?;
            stop(conn, sync).await?;
            Ok("paused")
        }
        Command::Cancel => {
            stop(conn, sync).await?;
            Ok("cancelled")
        }
        Command::Trigger(opts) => {
            let told = run_now(conn, sync, opts).await?;
            diesel::update(syncs::table.find((sync.environment_id, sync.id)))
                .set((
                    syncs::is_reset_due.eq(sync.is_reset_due || opts.reset),
                    syncs::empties_asked.eq(sync.empties_asked + i64::from(opts.empty_cache)),
                    syncs::is_again_due.eq(sync.is_again_due),
                    syncs::updated_at.eq(diesel::dsl::now),
                ))
                .execute(conn)
                .await?;
            Ok(told)
        }
    }
}

/// Has a sync run now, or after the run that is under way, which its row says.
async fn run_now(
    conn: &mut Connection,
    sync: &mut Sync,
    opts: Opts,
) -> Result<&'static str, Error> {
    if sync.enqueue(conn, Reason::Triggered).await? != Enqueued::AlreadyLive {
        return Ok("triggered");
    }
    let live = sync.live(conn).await?;
    let Some(live) = live.filter(|live| live.is_running) else {
        return Ok("waits to be run already");
    };
    let is_begun = sync.run_job == Some(live.job);
    let is_over = is_begun
        && [SUCCEEDED, FAILED, CANCELLED]
            .map(Some)
            .contains(&sync.run_status.as_deref());
    let is_replaced = is_begun && !is_over && (opts.reset || opts.empty_cache);
    if !is_begun {
        // It reads what it is to do when it begins, unless it is cancelled before.
        sync.is_again_due = true;
        linkspan_jobs::enqueue(conn, &[Again::job(sync)?]).await?;
        return Ok("is about to run already");
    }
    sync.is_again_due = true;
    if is_replaced {
        linkspan_jobs::cancel::cancel(conn, Which::Id(live.job)).await?;
    }
    if is_replaced || is_over {
        linkspan_jobs::enqueue(conn, &[Again::job(sync)?]).await?;
    }
    Ok(match is_replaced {
        true => "cancelled, to run anew",
        false => "runs: another run follows",
    })
}

/// Has a run follow the one that is alive, if that one was cancelled and has not
/// ended, or may have been before it began: so who pauses a sync and starts it at once
/// has it run.
async fn follow_cancelled(conn: &mut Connection, sync: &Sync) -> Result<(), Error> {
    let Some(live) = sync.live(conn).await?.filter(|live| live.is_running) else {
        return Ok(());
    };
    let is_begun = sync.run_job == Some(live.job);
    if is_begun && sync.run_status.as_deref() != Some(CANCELLED) {
        return Ok(());
    }
    // A run that begins takes this back.
    diesel::update(syncs::table.find((sync.environment_id, sync.id)))
        .set(syncs::is_again_due.eq(true))
        .execute(conn)
        .await?;
    linkspan_jobs::enqueue(conn, &[Again::job(sync)?]).await?;
    Ok(())
}

/// Enqueues the run that is to follow one that was ending. False while that has
/// not ended.
///
/// # Errors
/// When the database fails.
pub async fn again(core: &Core, environment: EnvironmentId, id: Uuid) -> Result<bool, Error> {
    let mut conn = core.db.conn().await?;
    let is_done = conn
        .transaction(async |conn| {
            let Some((sync, _)) = Sync::lock(conn, environment, id).await? else {
                return Ok(true);
            };
            if !sync.is_again_due {
                return Ok(true);
            }
            if sync.enqueue(conn, Reason::Triggered).await? == Enqueued::AlreadyLive {
                return Ok(false);
            }
            diesel::update(syncs::table.find((environment, id)))
                .set(syncs::is_again_due.eq(false))
                .execute(conn)
                .await?;
            Ok::<_, Error>(true)
        })
        .await?;
    core.jobs.wake();
    Ok(is_done)
}

async fn set_state(conn: &mut Connection, sync: &Sync, state: &str) -> Result<(), Error> {
    diesel::update(syncs::table.find((sync.environment_id, sync.id)))
        .set((
            syncs::state.eq(state),
            syncs::updated_at.eq(diesel::dsl::now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Cancels what waits or runs, and what was to follow it. A run under way counts
/// as cancelled from now on; if it is done before it hears of it, it says so.
async fn stop(conn: &mut Connection, sync: &Sync) -> Result<(), Error> {
    if let Some(schedule) = sync.schedule_id {
        let key = schedules::unique_key(schedule);
        linkspan_jobs::cancel::cancel(conn, Which::UniqueKey(&key)).await?;
    }
    let row = syncs::table.find((sync.environment_id, sync.id));
    diesel::update(row)
        .set(syncs::is_again_due.eq(false))
        .execute(conn)
        .await?;
    diesel::update(row.filter(syncs::run_status.eq(RUNNING)))
        .set((
            syncs::run_status.eq(CANCELLED),
            syncs::run_finished_at.eq(diesel::dsl::now),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// Tells each sync of a scope, in a transaction of its own.
async fn each(core: &Core, scope: &Scope<'_>, command: Command) -> Result<(), Error> {
    let mut operation = Operation::begin(scope.environment, Kind::Sync, command.action());
    operation.integration = Some(scope.integration.to_owned());
    operation.connection_id = scope.connection.map(str::to_owned);
    let result = each_of(core, scope, command, &mut operation).await;
    if let Err(error) = &result {
        operation.fail(Some(error.code().as_str()), error.to_string());
    }
    core.logs.write(operation);
    core.jobs.wake();
    result
}

async fn each_of(
    core: &Core,
    scope: &Scope<'_>,
    command: Command,
    operation: &mut Operation,
) -> Result<(), Error> {
    let mut conn = core.db.conn().await?;
    let found = resolve(&mut conn, scope).await?;
    for found in found {
        let told = conn
            .transaction(
                async |conn| match Sync::lock(conn, scope.environment, found.id).await? {
                    Some((mut sync, _)) => carry_out(conn, &mut sync, command).await,
                    None => Ok("was deleted meanwhile"),
                },
            )
            .await?;
        note(operation, &found, told);
    }
    Ok(())
}

/// Syncs that one operation names; of the others it says how many.
const MOST_NOTED: usize = 100;

fn note(operation: &mut Operation, found: &Found, told: &str) {
    let Found {
        sync,
        function,
        connection_id,
        ..
    } = found;
    if operation.messages.len() < MOST_NOTED {
        let (name, variant) = (&function.name, &sync.variant);
        operation.say(
            Level::Info,
            format!("Sync {name}, variant {variant}, of {connection_id}: {told}"),
        );
    }
}
