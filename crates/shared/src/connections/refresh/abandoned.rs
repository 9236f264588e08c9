//! Refreshes whose server has gone: they are repeated without waiting for a
//! caller, because a provider that takes a spent token again does so for a
//! while only.

use std::time::Duration;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use futures_util::{StreamExt as _, stream};

use crate::connections::live::{self, LiveKey};
use crate::connections::refresh;
use crate::db::schema::{connections, integrations, refresh_leases};
use crate::tenancy::EnvironmentId;
use crate::{Core, Error};

/// How many are repeated in one go, and at the same time.
const PAGE: i64 = 256;
const AT_ONCE: usize = 64;

#[derive(Queryable)]
struct Abandoned {
    environment: EnvironmentId,
    id: i64,
    connection: String,
    integration: String,
    spent_version: i64,
    version: i64,
}

/// How often it is looked for them, at the longest.
const LONGEST_LOOK: Duration = Duration::from_secs(2);

/// Repeats refreshes whose server has gone, until it is cancelled.
pub async fn run(core: Core) {
    let look = (core.settings.refresh_lease / 4).min(LONGEST_LOOK);
    loop {
        tokio::time::sleep(look).await;
        if let Err(error) = repeat_abandoned(&core).await {
            tracing::warn!(%error, "interrupted refreshes could not be looked for");
        }
    }
}

/// Repeats refreshes whose lease has run out. Any number of servers may do so:
/// the lease goes to one of them.
///
/// # Errors
/// When the database fails.
async fn repeat_abandoned(core: &Core) -> Result<(), Error> {
    let found = find(core).await?;
    stream::iter(found)
        .for_each_concurrent(AT_ONCE, |one| async move {
            if let Err(error) = repeat(core, &one).await {
                tracing::warn!(connection = one.id, %error, "an interrupted refresh failed again");
                // One that cannot even begin would be found again for ever.
                if !error.is_outage()
                    && let Err(error) = remove(core, &one).await
                {
                    tracing::warn!(connection = one.id, %error, "its lease stays");
                }
            }
        })
        .await;
    Ok(())
}

/// Of every environment: who left them is not known.
async fn find(core: &Core) -> Result<Vec<Abandoned>, Error> {
    let mut conn = core.db.conn().await?;
    Ok(refresh_leases::table
        .inner_join(
            connections::table.on(connections::environment_id
                .eq(refresh_leases::environment_id)
                .and(connections::id.eq(refresh_leases::connection))),
        )
        .inner_join(
            integrations::table.on(integrations::environment_id
                .eq(connections::environment_id)
                .and(integrations::id.eq(connections::integration_id))),
        )
        .filter(refresh_leases::expires_at.lt(diesel::dsl::now))
        .select((
            connections::environment_id,
            connections::id,
            connections::connection_id,
            integrations::unique_key,
            refresh_leases::credentials_version,
            connections::credentials_version,
        ))
        .order(refresh_leases::expires_at)
        .limit(PAGE)
        .load(&mut conn)
        .await?)
}

async fn repeat(core: &Core, one: &Abandoned) -> Result<(), Error> {
    // It had stored what it got, and only the lease was left behind.
    if one.version != one.spent_version {
        return remove(core, one).await;
    }
    tracing::info!(connection = one.id, "repeating an interrupted refresh");
    let key = LiveKey::new(one.environment, &one.integration, &one.connection);
    let live = live::stored(core, &key).await?;
    // Another server may have been faster since the lease was found.
    let is_spent = live.connection.credentials_version == one.spent_version;
    if !is_spent || !live.connection.credentials.can_refresh() {
        return remove(core, one).await;
    }
    let fresh = refresh::run(core, live, true).await?;
    core.live.insert(key, std::sync::Arc::new(fresh)).await;
    Ok(())
}

async fn remove(core: &Core, one: &Abandoned) -> Result<(), Error> {
    let mut conn = core.db.conn().await?;
    diesel::delete(refresh_leases::table.find((one.environment, one.id)))
        .filter(refresh_leases::credentials_version.eq(one.spent_version))
        .filter(refresh_leases::expires_at.lt(diesel::dsl::now))
        .execute(&mut conn)
        .await?;
    Ok(())
}
