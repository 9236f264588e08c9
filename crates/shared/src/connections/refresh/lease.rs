//! The right to ask the provider, as a row that its holder keeps renewing.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::result::{DatabaseErrorKind, Error as Query};
use diesel::sql_types::{BigInt, Double, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use uuid::Uuid;

use crate::connections::Live;
use crate::outbound::MaySend;
use crate::tenancy::EnvironmentId;
use crate::{Core, Error, db};

/// The right to refresh one connection. It runs out by the database's clock
/// unless its holder renews it.
///
/// A lease that has run out is contested first: its holder has a quarter of its
/// life to renew it, or to store what it has got, before another takes it over.
/// After an outage of the database, when all leases have run out, holders that
/// live are thus not overtaken, and a refresh token is not spent twice.
pub(super) struct Lease {
    environment: EnvironmentId,
    connection: i64,
    version: i64,
    holder: Uuid,
    hold: Arc<Hold>,
}

/// What this process knows of its lease.
struct Hold {
    /// Until when nobody else can have it.
    until: Mutex<Instant>,
    /// Whether it was wanted when it had run out.
    was_missed: AtomicBool,
}

const TAKE: &str = "INSERT INTO refresh_leases \
        (environment_id, connection, holder, credentials_version, expires_at) \
    VALUES ($1, $2, $3, $4, now() + $5 * interval '1 second') \
    ON CONFLICT (environment_id, connection) DO UPDATE SET \
        holder = excluded.holder, credentials_version = excluded.credentials_version, \
        expires_at = excluded.expires_at, is_contested = false \
    WHERE refresh_leases.is_contested AND refresh_leases.expires_at < now()";

const CONTEST: &str = "UPDATE refresh_leases \
    SET is_contested = true, expires_at = now() + $3 * interval '1 second' \
    WHERE environment_id = $1 AND connection = $2 AND NOT is_contested AND expires_at < now()";

const RENEW: &str = "UPDATE refresh_leases \
    SET is_contested = false, expires_at = now() + $4 * interval '1 second' \
    WHERE environment_id = $1 AND connection = $2 AND holder = $3";

const MOVE_ON: &str = "UPDATE refresh_leases SET credentials_version = $4 \
    WHERE environment_id = $1 AND connection = $2 AND holder = $3";

const RELEASE: &str = "DELETE FROM refresh_leases \
    WHERE environment_id = $1 AND connection = $2 AND holder = $3";

impl Lease {
    /// Takes the lease if it is free, or contests one that has run out.
    ///
    /// # Errors
    /// [`Error::UnknownConnection`] when the connection is gone, or when the
    /// database fails.
    pub(super) async fn take(core: &Core, live: &Live) -> Result<Option<Self>, Error> {
        let lease = Self {
            environment: live.connection.environment_id,
            connection: live.connection.id,
            version: live.connection.credentials_version,
            holder: Uuid::new_v4(),
            hold: Arc::new(Hold {
                until: Mutex::new(Instant::now() + core.settings.refresh_lease),
                was_missed: AtomicBool::new(false),
            }),
        };
        let life = core.settings.refresh_lease;
        let mut conn = core.db.conn().await?;
        lease.counts_from(Instant::now(), life);
        let taken = lease.insert(&mut conn, life).await;
        if taken.map_err(|error| gone(live, error))? {
            return Ok(Some(lease));
        }
        lease.contest(&mut conn, settling(life)).await?;
        Ok(None)
    }

    async fn insert(&self, conn: &mut db::Connection, life: Duration) -> Result<bool, Query> {
        let taken = diesel::sql_query(TAKE)
            .bind::<SqlUuid, _>(self.environment.0)
            .bind::<BigInt, _>(self.connection)
            .bind::<SqlUuid, _>(self.holder)
            .bind::<BigInt, _>(self.version)
            .bind::<Double, _>(life.as_secs_f64())
            .execute(conn)
            .await?;
        Ok(taken == 1)
    }

    async fn contest(&self, conn: &mut db::Connection, settling: Duration) -> Result<(), Query> {
        diesel::sql_query(CONTEST)
            .bind::<SqlUuid, _>(self.environment.0)
            .bind::<BigInt, _>(self.connection)
            .bind::<Double, _>(settling.as_secs_f64())
            .execute(conn)
            .await?;
        Ok(())
    }

    /// Renews it for as long as this is awaited. A lease that is lost all the
    /// same stays lost, which harms nobody: what is stored is decided by the
    /// credentials' version.
    pub(super) async fn keep(&self, core: &Core) -> Infallible {
        let life = core.settings.refresh_lease;
        let mut is_away = false;
        loop {
            // When the database is back, another may contest the lease at once:
            // most of the time that this leaves must still be there.
            let pause = if is_away {
                settling(life) / 8
            } else {
                life / 4
            };
            tokio::time::sleep(pause).await;
            match self.renew(core, life).await {
                Ok(true) => is_away = false,
                Ok(false) => break,
                Err(error) if !is_away => {
                    tracing::warn!(%error, "a refresh lease could not be renewed; trying again");
                    is_away = true;
                }
                Err(_) => {}
            }
        }
        tracing::warn!(
            connection = self.connection,
            "another server took over a refresh that is still under way here"
        );
        std::future::pending().await
    }

    async fn renew(&self, core: &Core, life: Duration) -> Result<bool, Error> {
        let mut conn = core.db.conn().await?;
        let asked_at = Instant::now();
        let renewed = diesel::sql_query(RENEW)
            .bind::<SqlUuid, _>(self.environment.0)
            .bind::<BigInt, _>(self.connection)
            .bind::<SqlUuid, _>(self.holder)
            .bind::<Double, _>(life.as_secs_f64())
            .execute(&mut conn)
            .await?;
        if renewed == 1 {
            self.counts_from(asked_at, life);
        }
        Ok(renewed == 1)
    }

    /// Tells whether it is still held for certain, by this process's own clock,
    /// which goes on while the process stands still: one that did may not ask
    /// the provider any more, since others may have spent the token and its
    /// successor since.
    pub(super) fn guard(&self) -> MaySend {
        let hold = Arc::clone(&self.hold);
        Arc::new(move || {
            let holds = Instant::now() < *hold.until();
            if !holds {
                hold.was_missed.store(true, Ordering::Relaxed);
            }
            holds
        })
    }

    /// Whether a guard had to say no.
    pub(super) fn was_missed(&self) -> bool {
        // By its path: diesel gives everything a `load` of its own.
        AtomicBool::load(&self.hold.was_missed, Ordering::Relaxed)
    }

    fn counts_from(&self, at: Instant, life: Duration) {
        *self.hold.until() = at + life;
    }

    /// Says that the refresh goes on with newer credentials, which this transaction
    /// has stored: it is repeated with these if this process ends before it is over.
    ///
    /// # Errors
    /// When the database fails.
    pub(super) async fn move_on(
        &self,
        conn: &mut db::Connection,
        version: i64,
    ) -> Result<(), Query> {
        diesel::sql_query(MOVE_ON)
            .bind::<SqlUuid, _>(self.environment.0)
            .bind::<BigInt, _>(self.connection)
            .bind::<SqlUuid, _>(self.holder)
            .bind::<BigInt, _>(version)
            .execute(conn)
            .await?;
        Ok(())
    }

    /// Gives it back, if nobody else has it by now.
    pub(super) async fn release(self, core: &Core) -> Result<(), Error> {
        let mut conn = core.db.conn().await?;
        diesel::sql_query(RELEASE)
            .bind::<SqlUuid, _>(self.environment.0)
            .bind::<BigInt, _>(self.connection)
            .bind::<SqlUuid, _>(self.holder)
            .execute(&mut conn)
            .await?;
        Ok(())
    }
}

impl Hold {
    fn until(&self) -> MutexGuard<'_, Instant> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the holder of a contested lease has to show that it lives: as long
/// as the time between two renewals.
fn settling(life: Duration) -> Duration {
    life / 4
}

/// A lease needs its connection.
fn gone(live: &Live, error: Query) -> Error {
    match error {
        Query::DatabaseError(DatabaseErrorKind::ForeignKeyViolation, _) => {
            Error::UnknownConnection {
                integration: live.integration.unique_key.clone(),
                connection: live.connection.connection_id.clone(),
            }
        }
        error => error.into(),
    }
}
