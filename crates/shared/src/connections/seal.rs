//! Sealing what is secret in configurations that were stored before their
//! template said so.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};
use diesel_async::{AsyncConnection, RunQueryDsl};
use uuid::Uuid;

use super::configuration;
use super::store::{Row, seal_config, write};
use crate::db::schema::{connections, integrations};
use crate::tenancy::EnvironmentId;
use crate::vault::EnvironmentKeys;
use crate::{Core, Error, db};

/// Rows that are sealed in one transaction.
const PAGE: i64 = 100;

/// Seals the secrets of every configuration that has some in plain sight, and
/// answers how many configurations those were. Several servers may do so at
/// once; what one is at, another passes by.
///
/// # Errors
/// When the database fails, or an environment's keys do not open; the others'
/// secrets are sealed all the same.
pub async fn secrets(core: &Core) -> Result<u64, Error> {
    let (mut sealed, mut failed) = (0, None);
    for (environment, integration, provider) in all_integrations(core).await? {
        // Of a provider that is gone nobody can say what is secret.
        let Ok(template) = core.template(&provider) else {
            continue;
        };
        let keys = configuration::secret_keys(&template);
        if !keys.is_empty() {
            let of = Of {
                environment,
                integration,
                template: &template,
                secret_keys: &keys,
            };
            match of.all(core).await {
                Ok(count) => sealed += count,
                Err(error) => {
                    let environment = environment.0;
                    tracing::warn!(%environment, %integration, %error, "secrets stay unsealed");
                    failed = Some(error);
                }
            }
        }
    }
    failed.map_or(Ok(sealed), Err)
}

/// How often it is tried until all is sealed.
const EVERY: Duration = Duration::from_secs(600);

/// Seals once: what is stored from now on is sealed, and who reads templates
/// again seals again.
pub async fn run(core: Core) {
    while !all(&core).await {
        tokio::time::sleep(EVERY).await;
    }
}

/// As [`secrets`], and says in the log what came of it. False if something could
/// not be sealed.
pub(crate) async fn all(core: &Core) -> bool {
    match secrets(core).await {
        Ok(0) => true,
        Ok(sealed) => {
            tracing::info!(
                sealed,
                "secrets of connections' configurations are sealed now"
            );
            true
        }
        Err(error) => {
            tracing::warn!(%error, "secrets of connections' configurations could not be sealed; trying again later");
            false
        }
    }
}

/// The integrations of every environment, each with its provider: like the other
/// sweeps, this one finds the environments rather than takes one.
async fn all_integrations(core: &Core) -> Result<Vec<(EnvironmentId, Uuid, String)>, Error> {
    Ok(integrations::table
        .select((
            integrations::environment_id,
            integrations::id,
            integrations::provider,
        ))
        .load(&mut core.db.conn().await?)
        .await?)
}

/// The connections of one integration.
struct Of<'a> {
    environment: EnvironmentId,
    integration: Uuid,
    template: &'a linkspan_providers::Template,
    secret_keys: &'a [String],
}

impl Of<'_> {
    async fn all(&self, core: &Core) -> Result<u64, Error> {
        // Before a connection is held: the keys may need one.
        let keys = core.vault.environment(self.environment).await?;
        let mut sealed = 0;
        loop {
            let mut conn = core.db.conn().await?;
            match self.page(&mut conn, &keys).await? {
                0 => return Ok(sealed),
                page => sealed += page,
            }
        }
    }

    async fn page(&self, conn: &mut db::Connection, keys: &EnvironmentKeys) -> Result<u64, Error> {
        conn.transaction(async |conn| {
            let has_secret =
                sql::<Bool>("connection_config ?| ").bind::<Array<Text>, _>(self.secret_keys);
            let rows = connections::table
                .filter(connections::environment_id.eq(self.environment))
                .filter(connections::integration_id.eq(self.integration))
                .filter(has_secret)
                .order(connections::id)
                .limit(PAGE)
                .select(Row::as_select())
                .for_update()
                .skip_locked()
                .load::<Row>(conn)
                .await?;
            let mut sealed = 0;
            for row in rows {
                let id = row.id;
                let config = row.open(keys)?.connection_config;
                let (plain, secrets) = configuration::split(self.template, &config);
                diesel::update(connections::table.find((self.environment, id)))
                    .set((
                        connections::connection_config
                            .eq(write("connection configuration", &plain)?),
                        connections::config_secrets.eq(seal_config(keys, id, &secrets)?),
                    ))
                    .execute(conn)
                    .await?;
                sealed += 1;
            }
            Ok::<_, Error>(sealed)
        })
        .await
    }
}
