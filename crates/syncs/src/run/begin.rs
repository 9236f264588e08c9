//! How a run begins.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_jobs::schedules;
use linkspan_records::Store;
use linkspan_shared::breakpoint::reach;
use linkspan_shared::connections::live::{self, LiveKey};
use linkspan_shared::db::schema::{checkpoints, connections, integrations, syncs};
use linkspan_shared::{Core, db};
use uuid::Uuid;

use super::Claim;
use crate::context::{Begun, written};
use crate::functions::Recorded;
use crate::sync::{LEAVING, RUNNING, RunSync, Sync, checkpoint_key, schedule_key};
use crate::variant::stream;
use crate::{Error, Facts, RunResult, counts};

/// Takes away the schedule of a sync that is gone: a server that knew nothing of
/// syncs may have deleted it.
pub(super) async fn forget(core: &Core, job: &RunSync) -> Result<(), Error> {
    let mut conn = core.db.conn().await?;
    let there = syncs::table.find((job.environment, job.sync));
    let is_there: bool = diesel::select(diesel::dsl::exists(there))
        .get_result(&mut conn)
        .await?;
    if !is_there {
        schedules::delete(&mut conn, &schedule_key(job.sync)).await?;
    }
    Ok(())
}

/// Writes down that the run has begun, and does what was asked of it that is in
/// the same database. None when there is nothing to run.
pub(super) async fn begin(
    core: &Core,
    job: &RunSync,
    claim: Claim,
    operation: Uuid,
) -> Result<Option<Begun>, Error> {
    let mut conn = core.db.conn().await?;
    let begun = conn
        .transaction(async |conn| begin_locked(conn, job, claim, operation).await)
        .await?;
    let Some((sync, function, integration, connection_id)) = begun else {
        return Ok(None);
    };
    let has_checkpoint = {
        let key = checkpoint_key(&function.name, &sync.variant);
        let of = checkpoints::table.find((sync.environment_id, sync.connection, key));
        diesel::select(diesel::dsl::exists(of))
            .get_result::<bool>(&mut conn)
            .await?
    };
    drop(conn);
    let key = LiveKey::new(job.environment, &integration, &connection_id);
    let provider = match live::stored(core, &key).await {
        Ok(live) => live.integration.provider.clone(),
        Err(
            linkspan_shared::Error::UnknownConnection { .. }
            | linkspan_shared::Error::UnknownIntegration(_),
        ) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    Ok(Some(Begun {
        result: counts::read(sync.run_result.as_ref()),
        is_fresh: !has_checkpoint,
        fence: claim.fence,
        facts: Facts {
            environment: job.environment,
            integration,
            provider,
            connection_id,
            sync: sync.id,
            name: function.name.clone(),
            variant: sync.variant.clone(),
            models: function.models.clone(),
            synced_at: sync.synced_at,
            attempt: claim.attempt,
        },
        sync,
        function,
    }))
}

type Locked = (Sync, Recorded, String, String);

async fn begin_locked(
    conn: &mut db::Connection,
    job: &RunSync,
    claim: Claim,
    operation: Uuid,
) -> Result<Option<Locked>, Error> {
    let Some((sync, function)) = Sync::lock(conn, job.environment, job.sync).await? else {
        return Ok(None);
    };
    let connection_id: Option<String> = connections::table
        .find((job.environment, sync.connection))
        .select(connections::connection_id)
        .first(conn)
        .await
        .optional()?;
    let integration: Option<String> = integrations::table
        .find((job.environment, function.integration_id))
        .select(integrations::unique_key)
        .first(conn)
        .await
        .optional()?;
    let names = integration.zip(connection_id);
    let Some((integration, connection_id)) = names else {
        return Ok(None);
    };
    if sync.is_reset_due {
        let key = sync.checkpoint_key(&function);
        let of = (sync.environment_id, sync.connection, key);
        diesel::delete(checkpoints::table.find(of))
            .execute(conn)
            .await?;
    }
    // The same run once more keeps when it began and what it has changed.
    let is_repeated =
        sync.run_job == Some(claim.job) && sync.run_status.as_deref() == Some(RUNNING);
    let now = chrono::Utc::now();
    let started_at = match is_repeated {
        true => sync.run_started_at.unwrap_or(now),
        false => now,
    };
    let result = match is_repeated {
        true => counts::read(sync.run_result.as_ref()),
        false => RunResult::new(),
    };
    let synced_at = sync.synced_at.filter(|_| !sync.is_reset_due);
    let began = diesel::update(syncs::table.find((sync.environment_id, sync.id)))
        .filter(syncs::run_fence.lt(claim.fence))
        .set((
            (
                syncs::is_reset_due.eq(false),
                // What is to follow the run follows it also when it is repeated: the
                // repeat may begin in the middle.
                syncs::is_again_due.eq(is_repeated && sync.is_again_due),
                syncs::synced_at.eq(synced_at),
                syncs::run_job.eq(claim.job),
                syncs::run_fence.eq(claim.fence),
                syncs::run_attempt.eq(i16::try_from(claim.attempt).unwrap_or(i16::MAX)),
                syncs::run_status.eq(RUNNING),
                syncs::run_reason.eq(job.reason.as_str()),
            ),
            syncs::run_is_initial.eq(synced_at.is_none()),
            syncs::run_started_at.eq(started_at),
            syncs::run_finished_at.eq(None::<chrono::DateTime<chrono::Utc>>),
            syncs::run_result.eq(written(&result)?),
            syncs::run_error.eq(None::<String>),
            syncs::run_operation.eq(operation),
        ))
        .returning(Sync::as_returning())
        .get_result::<Sync>(conn)
        .await
        .optional()?;
    let sync = began.ok_or(Error::Stale)?;
    Ok(Some((sync, function, integration, connection_id)))
}

/// Refuses earlier runs in the records, and empties what is to be emptied: here
/// alone a run makes its streams.
pub(super) async fn prepare(
    core: &Core,
    store: &Store,
    begun: &Begun,
    claim: Claim,
) -> Result<(), Error> {
    let Begun { sync, function, .. } = begun;
    for model in &function.models {
        let name = stream(sync, model);
        match sync.is_empty_due() {
            true => store.empty(&name, Some(claim.fence)).await?,
            false => store.take(&name, claim.fence).await?,
        }
        // A run without a checkpoint reads everything: what an earlier one that tracked
        // deletes has seen counts no more. Not only when this one begins to track, since
        // it may save a checkpoint before and be cut off between the two.
        if begun.is_fresh {
            store.track_abandon(&name, claim.fence).await?;
        }
    }
    reach("sync.emptied");
    if is_gone(core, sync).await? {
        // It was deleted after this run began, and its streams, perhaps, before they
        // were made here.
        for model in &function.models {
            store.drop_taken(&stream(sync, model), claim.fence).await?;
        }
        return Err(Error::Stale);
    }
    if sync.is_empty_due() {
        let row = syncs::table
            .find((sync.environment_id, sync.id))
            .filter(syncs::run_fence.eq(claim.fence));
        diesel::update(row)
            .set(syncs::empties_done.eq(sync.empties_asked))
            .execute(&mut *core.db.conn().await?)
            .await?;
    }
    Ok(())
}

/// Whether a sync is deleted, or is about to be.
async fn is_gone(core: &Core, sync: &Sync) -> Result<bool, Error> {
    let there = syncs::table
        .find((sync.environment_id, sync.id))
        .filter(syncs::state.ne(LEAVING));
    let is_there: bool = diesel::select(diesel::dsl::exists(there))
        .get_result(&mut *core.db.conn().await?)
        .await?;
    Ok(!is_there)
}
