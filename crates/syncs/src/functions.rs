//! The sync functions that an integration has.

use diesel::prelude::*;
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_jobs::schedules;
use linkspan_records::Store;
use linkspan_shared::Core;
use linkspan_shared::connections::syncing::Arrange;
use linkspan_shared::db::Connection;
use linkspan_shared::db::schema::{integrations, sync_functions, syncs};
use linkspan_shared::tenancy::EnvironmentId;
use uuid::Uuid;

use crate::sync::{LEAVING, Sync};
use crate::{Error, frequency, select, variant};

/// The longest name of a function, a model or a variant, in bytes.
const LONGEST_NAME: usize = 255;
/// Models that one function may have.
const MOST_MODELS: usize = 64;

/// A sync function, as it is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name, unique in the integration: letters, digits, `_` and `-`.
    pub name: String,
    /// The name of code that is built into the program.
    pub native: Option<String>,
    /// What it does, for people.
    pub description: Option<String>,
    /// Its author's version.
    pub version: Option<String>,
    /// How often it runs: `every 30s` (the least), `every hour`, or cron in UTC.
    pub frequency: String,
    /// The models whose records it saves.
    pub models: Vec<String>,
    /// Whether the sync of a new connection is started, or paused.
    pub auto_start: bool,
    /// Whether what a successful run has not saved is deleted.
    pub track_deletes: bool,
}

impl Definition {
    /// One that runs code that is built in, every hour, and starts by itself.
    pub fn native(name: impl Into<String>, models: &[&str]) -> Self {
        let name = name.into();
        Self {
            native: Some(name.clone()),
            name,
            description: None,
            version: None,
            frequency: "every hour".to_owned(),
            models: models.iter().map(|&model| model.to_owned()).collect(),
            auto_start: true,
            track_deletes: false,
        }
    }

    fn check(&self) -> Result<(), Error> {
        let wrong = |reason: &str| Error::InvalidFunction {
            name: self.name.clone(),
            reason: reason.to_owned(),
        };
        if !is_name(&self.name) {
            return Err(wrong("its name has 1 to 255 letters, digits, _ and -"));
        }
        if self.models.is_empty() || self.models.len() > MOST_MODELS {
            return Err(wrong("it has 1 to 64 models"));
        }
        let fits =
            |model: &String| (1..=LONGEST_NAME).contains(&model.len()) && !model.contains('\0');
        if !self.models.iter().all(fits) {
            return Err(wrong("a model's name has 1 to 255 bytes, none of them NUL"));
        }
        frequency::check(&self.frequency)?;
        Ok(())
    }
}

/// Whether a function or a variant may have this name (CONTRACT 2.9).
#[must_use]
pub fn is_name(name: &str) -> bool {
    let is_fit = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (1..=LONGEST_NAME).contains(&name.len()) && name.chars().all(is_fit)
}

/// A function that an integration has.
#[derive(Debug, Clone, Queryable, Selectable)]
#[diesel(table_name = sync_functions)]
pub struct Recorded {
    /// The environment.
    pub environment_id: EnvironmentId,
    /// Its number.
    pub id: Uuid,
    /// The integration.
    pub integration_id: Uuid,
    /// Its name.
    pub name: String,
    /// The name of code that is built into the program.
    pub native: Option<String>,
    /// What it does, for people.
    pub description: Option<String>,
    /// Its author's version.
    pub version: Option<String>,
    /// How often it runs.
    pub frequency: String,
    /// The models whose records it saves.
    pub models: Vec<String>,
    /// Whether the sync of a new connection is started, or paused.
    pub auto_start: bool,
    /// Whether what a successful run has not saved is deleted.
    pub track_deletes: bool,
}

/// Adds a function to an integration, or changes it. Every connection of the
/// integration gets a sync of it, by a job; those that have one follow its
/// frequency unless they have their own.
///
/// # Errors
/// [`Error::InvalidFunction`], [`Error::Frequency`], [`Error::TooShort`], and when
/// there is no such integration.
pub async fn record(
    core: &Core,
    environment: EnvironmentId,
    unique_key: &str,
    definition: &Definition,
) -> Result<Recorded, Error> {
    definition.check()?;
    let mut conn = core.db.conn().await?;
    let recorded = conn
        .transaction(async |conn| {
            // Connections that are being stored saw no function yet: this waits for
            // them, and the job sees them.
            let id = select::integration(conn, environment, unique_key).await?;
            let _: Option<Uuid> = integrations::table
                .find((environment, id))
                .select(integrations::id)
                .for_update()
                .first(conn)
                .await
                .optional()?;
            let recorded = upsert(conn, environment, id, definition).await?;
            reschedule(conn, &recorded).await?;
            let arrange = Arrange {
                environment,
                integration: id,
                connection: None,
            };
            linkspan_jobs::enqueue(conn, &[arrange.job()?]).await?;
            Ok::<_, Error>(recorded)
        })
        .await?;
    drop(conn);
    core.jobs.wake();
    Ok(recorded)
}

async fn upsert(
    conn: &mut Connection,
    environment: EnvironmentId,
    integration: Uuid,
    new: &Definition,
) -> Result<Recorded, Error> {
    let values = (
        sync_functions::native.eq(&new.native),
        sync_functions::description.eq(&new.description),
        sync_functions::version.eq(&new.version),
        sync_functions::frequency.eq(&new.frequency),
        sync_functions::models.eq(&new.models),
        sync_functions::auto_start.eq(new.auto_start),
        sync_functions::track_deletes.eq(new.track_deletes),
        sync_functions::is_leaving.eq(false),
        sync_functions::updated_at.eq(diesel::dsl::now),
    );
    Ok(diesel::insert_into(sync_functions::table)
        .values((
            sync_functions::environment_id.eq(environment),
            sync_functions::id.eq(Uuid::now_v7()),
            sync_functions::integration_id.eq(integration),
            sync_functions::name.eq(&new.name),
            values,
        ))
        .on_conflict((
            sync_functions::environment_id,
            sync_functions::integration_id,
            sync_functions::name,
        ))
        .do_update()
        .set(values)
        .returning(Recorded::as_returning())
        .get_result(conn)
        .await?)
}

/// Gives the function's frequency to the schedules of syncs without their own.
async fn reschedule(conn: &mut Connection, function: &Recorded) -> Result<(), Error> {
    let all: Vec<Sync> = syncs::table
        .filter(syncs::environment_id.eq(function.environment_id))
        .filter(syncs::function_id.eq(function.id))
        .filter(syncs::frequency.is_null())
        .filter(syncs::state.ne(LEAVING))
        .order(syncs::id)
        .select(Sync::as_select())
        .for_update()
        .load(conn)
        .await?;
    let spec = frequency::normal(&function.frequency);
    let ids: Vec<i64> = all.iter().filter_map(|sync| sync.schedule_id).collect();
    for schedule in schedules::of_ids(conn, &ids).await? {
        if schedule.spec != spec {
            schedules::update(conn, &schedule.key, &spec).await?;
        }
    }
    Ok(())
}

/// The functions of an integration, by name.
///
/// # Errors
/// When there is no such integration.
pub async fn list(
    core: &Core,
    environment: EnvironmentId,
    unique_key: &str,
) -> Result<Vec<Recorded>, Error> {
    let mut conn = core.db.conn().await?;
    let id = select::integration(&mut conn, environment, unique_key).await?;
    of_integration(&mut conn, environment, id).await
}

pub(crate) async fn of_integration(
    conn: &mut Connection,
    environment: EnvironmentId,
    integration: Uuid,
) -> Result<Vec<Recorded>, Error> {
    Ok(sync_functions::table
        .filter(sync_functions::environment_id.eq(environment))
        .filter(sync_functions::integration_id.eq(integration))
        .filter(sync_functions::is_leaving.eq(false))
        .order(sync_functions::name)
        .select(Recorded::as_select())
        .load(conn)
        .await?)
}

/// Takes a function from an integration, with its syncs, their schedules, runs,
/// checkpoints and records. Runs that are under way are cancelled, and the rest of
/// their syncs is deleted when they have ended; the function is, when it has no
/// syncs any more.
///
/// # Errors
/// [`Error::UnknownSync`], and when there is no such integration.
pub async fn remove(
    core: &Core,
    store: &Store,
    environment: EnvironmentId,
    unique_key: &str,
    name: &str,
) -> Result<(), Error> {
    let mut conn = core.db.conn().await?;
    let id = select::integration(&mut conn, environment, unique_key).await?;
    let all = of_integration(&mut conn, environment, id).await?;
    let function = all
        .into_iter()
        .find(|function| function.name == name)
        .ok_or_else(|| Error::UnknownSync {
            integration: unique_key.to_owned(),
            name: name.to_owned(),
        })?;
    // From here on it gets no new syncs.
    diesel::update(sync_functions::table.find((environment, function.id)))
        .set(sync_functions::is_leaving.eq(true))
        .execute(&mut conn)
        .await?;
    let ids: Vec<Uuid> = syncs::table
        .filter(syncs::environment_id.eq(environment))
        .filter(syncs::function_id.eq(function.id))
        .order(syncs::id)
        .select(syncs::id)
        .load(&mut conn)
        .await?;
    drop(conn);
    for id in ids {
        variant::take_leave(core, store, environment, id).await?;
    }
    let mut conn = core.db.conn().await?;
    // The last of the syncs whose runs are ending takes it along.
    variant::drop_function(&mut conn, environment, function.id).await
}
