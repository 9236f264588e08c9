//! What a sync is told: start, pause, run, stop.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel::sql_types::{Array, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_jobs::cancel::Which;
use linkspan_jobs::schedules::Live;
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

/// Syncs that are told in one transaction.
const AT_ONCE: usize = 200;

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

/// What each sync was told came to.
type Told = HashMap<Uuid, &'static str>;

/// Carries a command out on syncs that are locked.
async fn carry_out(conn: &mut Connection, all: &[Sync], command: Command) -> Result<Told, Error> {
    match command {
        Command::Start => start_all(conn, all).await,
        Command::Pause => {
            schedules::pause_all(conn, &schedule_ids(all)).await?;
            cancel_jobs(conn, all).await?;
            change(conn, all, &format!("state = '{PAUSED}', {}", stopped())).await?;
            Ok(told(all, "paused"))
        }
        Command::Cancel => {
            cancel_jobs(conn, all).await?;
            change(conn, all, &stopped()).await?;
            Ok(told(all, "cancelled"))
        }
        Command::Trigger(opts) => trigger_all(conn, all, opts).await,
    }
}

fn told<'a>(all: impl IntoIterator<Item = &'a Sync>, what: &'static str) -> Told {
    all.into_iter().map(|sync| (sync.id, what)).collect()
}

fn schedule_ids<'a>(all: impl IntoIterator<Item = &'a Sync>) -> Vec<i64> {
    all.into_iter()
        .filter_map(|sync| sync.schedule_id)
        .collect()
}

async fn start_all(conn: &mut Connection, all: &[Sync]) -> Result<Told, Error> {
    let (paused, others): (Vec<Sync>, Vec<Sync>) = all.iter().cloned().partition(Sync::is_paused);
    schedules::resume_all(conn, &schedule_ids(&paused)).await?;
    let live = enqueue(conn, &paused, Reason::Started).await?;
    // Who pauses a sync and starts it at once has it run, also while the run that was
    // cancelled has not ended, or was cancelled before it began.
    let follow = live.iter().filter(|(sync, live)| {
        live.is_running
            && (sync.run_job != Some(live.job) || sync.run_status.as_deref() == Some(CANCELLED))
    });
    let follow: Vec<&Sync> = follow.map(|(sync, _)| *sync).collect();
    // A run that begins takes what is due back.
    let started = format!("state = '{STARTED}', {}", again_due(&follow));
    change(conn, &paused, &started).await?;
    run_again(conn, &follow).await?;
    let mut came_to = told(&paused, "started");
    came_to.extend(told(&others, "runs by its schedule already"));
    Ok(came_to)
}

/// Has syncs run now, or after the runs that are under way, which their rows say.
async fn trigger_all(conn: &mut Connection, all: &[Sync], opts: Opts) -> Result<Told, Error> {
    // Before their jobs: a tick holds them while it makes some.
    schedules::lock(conn, &schedule_ids(all)).await?;
    let mut came_to = told(all, "triggered");
    let (mut due, mut again, mut replaced) = (Vec::new(), Vec::new(), Vec::new());
    for (sync, live) in enqueue(conn, all, Reason::Triggered).await? {
        let is_begun = sync.run_job == Some(live.job);
        let is_over = is_begun
            && [SUCCEEDED, FAILED, CANCELLED]
                .map(Some)
                .contains(&sync.run_status.as_deref());
        let is_replaced = is_begun && !is_over && (opts.reset || opts.empty_cache);
        let what = match (live.is_running, is_begun, is_replaced) {
            (false, ..) => "waits to be run already",
            // It reads what it is to do when it begins, unless it is cancelled before.
            (_, false, _) => "is about to run already",
            (_, _, true) => "cancelled, to run anew",
            (_, _, false) => "runs: another run follows",
        };
        came_to.insert(sync.id, what);
        if live.is_running {
            due.push(sync);
        }
        // A run that is under way says itself that another is to follow.
        if live.is_running && (!is_begun || is_over || is_replaced) {
            again.push(sync);
        }
        if is_replaced {
            replaced.push(sync);
        }
    }
    cancel_jobs(conn, replaced).await?;
    let (reset, empty) = (opts.reset, i64::from(opts.empty_cache));
    let asked = format!(
        "is_reset_due = is_reset_due OR {reset}, empties_asked = empties_asked + {empty}, {}",
        again_due(&due)
    );
    change(conn, all, &asked).await?;
    run_again(conn, &again).await?;
    Ok(came_to)
}

/// Enqueues a run of each sync for now. Those of which one waits or runs, with it.
async fn enqueue<'a>(
    conn: &mut Connection,
    all: &'a [Sync],
    reason: Reason,
) -> Result<Vec<(&'a Sync, Live)>, Error> {
    let mut jobs = Vec::new();
    for sync in all {
        jobs.extend(sync.run_now(reason)?);
    }
    let enqueued = linkspan_jobs::enqueue(conn, &jobs).await?;
    if !enqueued.contains(&Enqueued::AlreadyLive) {
        return Ok(Vec::new());
    }
    let with_schedule = all.iter().filter(|sync| sync.schedule_id.is_some());
    let were_live: HashMap<i64, &Sync> = with_schedule
        .zip(enqueued)
        .filter(|(_, became)| *became == Enqueued::AlreadyLive)
        .filter_map(|(sync, _)| Some((sync.schedule_id?, sync)))
        .collect();
    let schedules: Vec<i64> = were_live.keys().copied().collect();
    let live = schedules::live(conn, &schedules).await?;
    Ok(live
        .into_iter()
        .filter_map(|live| Some((*were_live.get(&live.schedule)?, live)))
        .collect())
}

/// Adds the jobs that run syncs after the runs that are ending.
async fn run_again(conn: &mut Connection, all: &[&Sync]) -> Result<(), Error> {
    let jobs = all.iter().map(|sync| Again::job(sync));
    let jobs = jobs.collect::<Result<Vec<_>, _>>()?;
    linkspan_jobs::enqueue(conn, &jobs).await?;
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

/// Nothing follows any more. A run under way counts as cancelled from now on; if it
/// is done before it hears of it, it says so.
fn stopped() -> String {
    format!(
        "is_again_due = false, \
         run_finished_at = CASE run_status WHEN '{RUNNING}' THEN now() ELSE run_finished_at END, \
         run_status = CASE run_status WHEN '{RUNNING}' THEN '{CANCELLED}' ELSE run_status END"
    )
}

/// Of the syncs that are changed, a run of these is to follow the one under way.
fn again_due(these: &[&Sync]) -> String {
    let ids: Vec<String> = these.iter().map(|sync| format!("'{}'", sync.id)).collect();
    match ids.is_empty() {
        true => "is_again_due = is_again_due".to_owned(),
        false => format!("is_again_due = is_again_due OR id IN ({})", ids.join(", ")),
    }
}

async fn cancel_jobs<'a>(
    conn: &mut Connection,
    all: impl IntoIterator<Item = &'a Sync>,
) -> Result<(), Error> {
    let keys = schedule_ids(all).into_iter().map(schedules::unique_key);
    let keys: Vec<String> = keys.collect();
    if !keys.is_empty() {
        linkspan_jobs::cancel::cancel(conn, Which::UniqueKeys(&keys)).await?;
    }
    Ok(())
}

/// Changes the rows of syncs of one environment. Once in a transaction: for a row that
/// it has changed itself Postgres asks for the environment's again, which may wait for
/// who deletes that and waits for this row.
async fn change<'a>(
    conn: &mut Connection,
    all: impl IntoIterator<Item = &'a Sync>,
    set: &str,
) -> Result<(), Error> {
    let (environments, ids): (Vec<EnvironmentId>, Vec<Uuid>) = all
        .into_iter()
        .map(|sync| (sync.environment_id, sync.id))
        .unzip();
    let Some(&environment) = environments.as_slice().first() else {
        return Ok(());
    };
    diesel::sql_query(format!(
        "UPDATE syncs SET {set}, updated_at = now() WHERE environment_id = $1 AND id = ANY($2)"
    ))
    .bind::<SqlUuid, _>(environment)
    .bind::<Array<SqlUuid>, _>(ids)
    .execute(conn)
    .await?;
    Ok(())
}

/// Tells the syncs of a scope, in transactions of [`AT_ONCE`].
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
    for page in found.chunks(AT_ONCE) {
        let ids: Vec<Uuid> = page.iter().map(|found| found.id).collect();
        let told = conn
            .transaction(async |conn| {
                let all = Sync::lock_all(conn, scope.environment, &ids).await?;
                carry_out(conn, &all, command).await
            })
            .await?;
        for found in page {
            let told = told.get(&found.id).copied();
            note(operation, found, told.unwrap_or("was deleted meanwhile"));
        }
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
