//! Fresh credentials: one refresh at a time across replicas, and none lost.
//!
//! A lease row says who may call the provider; the others go on with the token
//! that is still valid, or wait. What the provider gives is stored only if the
//! refresh token that it spent is still the stored one, whoever holds the lease
//! by then: a success that is dropped could be the only valid token.

use std::time::Duration;

use chrono::{TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types;
use diesel_async::RunQueryDsl;
use linkspan_auth::{Credentials, expiry};
use linkspan_providers::Config;
use uuid::Uuid;

use super::live::Live;
use super::{begin, store};
use crate::db::schema::refresh_leases;
use crate::db::{self, Connection};
use crate::logs::{Kind, Level, Operation};
use crate::outbound::Outbound;
use crate::{Core, Error};

/// How long a lease keeps others away, by the database's clock: longer than the
/// provider's call may take (`outbound::DEADLINE`).
const LEASE_END: &str = "now() + interval '45 seconds'";
/// After a failure, nobody asks the provider again for this long (CONTRACT 2.8).
const BACKOFF: TimeDelta = TimeDelta::seconds(30);
/// How long a caller waits for another's refresh, and how often it looks.
const WAIT: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(100);
/// How long a success is held on to while the database is away.
const STORE_FOR: Duration = Duration::from_secs(60);

/// Whether the credentials should be refreshed before they are used.
#[must_use]
pub fn is_due(live: &Live) -> bool {
    let credentials = &live.connection.credentials;
    let buffer = live.template.token_expiration_buffer;
    credentials.can_refresh() && expiry::is_due(credentials, Utc::now(), buffer)
}

/// Refreshes a connection's credentials, or waits for whoever is at it.
///
/// # Errors
/// [`Error::RefreshFailed`] or [`Error::RefreshBackoff`] when the old token is
/// no longer valid and there is no new one.
pub async fn run(core: &Core, live: Live, is_forced: bool) -> Result<Live, Error> {
    if !live.connection.credentials.can_refresh() {
        return Ok(live);
    }
    let deadline = tokio::time::Instant::now() + WAIT;
    let version = live.connection.credentials_version;
    let mut live = live;
    loop {
        let is_changed = live.connection.credentials_version != version;
        if is_changed || !(is_forced || is_due(&live)) {
            return Ok(live);
        }
        if !is_forced && failed_lately(&live) {
            return usable(live).ok_or(Error::RefreshBackoff);
        }
        if let Some(lease) = Lease::take(core, &live).await? {
            return refresh_apart(core, live, lease).await;
        }
        if !is_forced && usable_now(&live) {
            return Ok(live);
        }
        if tokio::time::Instant::now() > deadline {
            let reason = "another refresh of this connection takes too long";
            return Err(Error::RefreshFailed(reason.to_owned()));
        }
        tokio::time::sleep(LOOK).await;
        live = reload(core, live).await?;
    }
}

fn failed_lately(live: &Live) -> bool {
    live.connection
        .last_refresh_failure_at
        .is_some_and(|at| Utc::now() - at < BACKOFF)
}

fn usable_now(live: &Live) -> bool {
    !expiry::is_expired(&live.connection.credentials, Utc::now())
}

fn usable(live: Live) -> Option<Live> {
    usable_now(&live).then_some(live)
}

async fn reload(core: &Core, live: Live) -> Result<Live, Error> {
    let environment = live.integration.environment_id;
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let id = &live.connection.connection_id;
    let connection = store::get(&mut conn, &keys, &live.integration, id).await?;
    Ok(Live { connection, ..live })
}

/// Runs the refresh in a task of its own: a caller that hangs up must not
/// cancel it half way, when the old token is spent and the new one not stored.
async fn refresh_apart(core: &Core, live: Live, lease: Lease) -> Result<Live, Error> {
    let core = core.clone();
    let task = tokio::spawn(async move {
        let result = refresh(&core, live).await;
        if let Err(error) = lease.release(&core).await {
            tracing::warn!(%error, "a refresh lease could not be released; it will run out");
        }
        result
    });
    task.await
        .unwrap_or_else(|error| Err(Error::RefreshFailed(error.to_string())))
}

async fn refresh(core: &Core, live: Live) -> Result<Live, Error> {
    // Between reading the row and taking the lease another may have refreshed.
    let version = live.connection.credentials_version;
    let live = reload(core, live).await?;
    if live.connection.credentials_version != version {
        return Ok(live);
    }
    let mut operation = Operation::begin(live.integration.environment_id, Kind::Auth, "refresh")
        .about(
            &live.integration.unique_key,
            &live.integration.provider,
            &live.connection.connection_id,
        );
    let result = match ask_provider(core, &live).await {
        Ok(fresh) => {
            operation.say(Level::Info, "Credentials refreshed");
            store_fresh(core, &live, fresh).await?;
            reload(core, live).await
        }
        Err(error) => {
            operation.fail(Some(error.code().as_str()), error.to_string());
            let mut conn = core.db.conn().await?;
            store::note_refresh_failure(&mut conn, &live.connection).await?;
            usable(live).ok_or_else(|| Error::RefreshFailed(error.to_string()))
        }
    };
    core.logs.write(operation);
    result
}

async fn ask_provider(core: &Core, live: &Live) -> Result<Credentials, Error> {
    let config = Config {
        template: &live.template,
        connection: &live.connection.connection_config,
        integration: &live.integration.config,
    };
    let credentials = &live.connection.credentials;
    let client = begin::client_of(&live.integration, credentials)?;
    let fresh =
        linkspan_auth::refresh(&client, &config, credentials, &Outbound(&core.http)).await?;
    if let Some(warning) = &fresh.warning {
        let connection = &live.connection.connection_id;
        tracing::warn!(%warning, connection, "tokens beside the connection's were not refreshed");
    }
    Ok(fresh.credentials)
}

/// Stores what the provider gave, however long the database is away within
/// reason.
async fn store_fresh(core: &Core, spent: &Live, fresh: Credentials) -> Result<(), Error> {
    let keys = core
        .vault
        .environment(spent.integration.environment_id)
        .await?;
    let deadline = tokio::time::Instant::now() + STORE_FOR;
    loop {
        let stored = async {
            let mut conn = core.db.conn().await?;
            store::replace_credentials(&mut conn, &keys, &spent.connection, &fresh).await
        };
        match stored.await {
            Ok(true) => return Ok(()),
            Ok(false) => {
                tracing::warn!("a refresh was overtaken by newer credentials");
                return Ok(());
            }
            Err(error) if tokio::time::Instant::now() > deadline => return Err(error),
            Err(error) => {
                tracing::warn!(%error, "refreshed credentials could not be stored; trying again");
                tokio::time::sleep(LOOK * 5).await;
            }
        }
    }
}

/// The right to refresh one connection, until it runs out.
struct Lease {
    environment: crate::tenancy::EnvironmentId,
    connection: i64,
    holder: Uuid,
}

impl Lease {
    /// Takes the lease if nobody has it, by the database's clock.
    async fn take(core: &Core, live: &Live) -> Result<Option<Self>, Error> {
        let lease = Self {
            environment: live.integration.environment_id,
            connection: live.connection.id,
            holder: Uuid::new_v4(),
        };
        let mut conn = core.db.conn().await?;
        Ok(lease.insert(&mut conn).await?.then_some(lease))
    }

    async fn insert(&self, conn: &mut Connection) -> Result<bool, db::Error> {
        use diesel::query_dsl::methods::FilterDsl;
        use diesel::upsert::excluded;
        let until = diesel::dsl::sql::<sql_types::Timestamptz>(LEASE_END);
        let insert = diesel::insert_into(refresh_leases::table)
            .values((
                refresh_leases::environment_id.eq(self.environment),
                refresh_leases::connection.eq(self.connection),
                refresh_leases::holder.eq(self.holder),
                refresh_leases::expires_at.eq(until),
            ))
            .on_conflict((refresh_leases::environment_id, refresh_leases::connection))
            .do_update()
            .set((
                refresh_leases::holder.eq(excluded(refresh_leases::holder)),
                refresh_leases::expires_at.eq(excluded(refresh_leases::expires_at)),
            ));
        let taken = FilterDsl::filter(insert, refresh_leases::expires_at.lt(diesel::dsl::now))
            .execute(conn)
            .await?;
        Ok(taken == 1)
    }

    async fn release(self, core: &Core) -> Result<(), Error> {
        let mut conn = core.db.conn().await?;
        diesel::delete(refresh_leases::table.find((self.environment, self.connection)))
            .filter(refresh_leases::holder.eq(self.holder))
            .execute(&mut conn)
            .await?;
        Ok(())
    }
}
