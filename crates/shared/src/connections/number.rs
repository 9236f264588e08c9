//! The internal number of a connection, for what is stored by it elsewhere.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;

use crate::db::schema::{connections, integrations};
use crate::tenancy::EnvironmentId;
use crate::{Core, Error};

/// The number of a connection, by its integration's key and its id. Nothing of
/// it is opened or refreshed.
///
/// # Errors
/// [`Error::UnknownIntegration`], [`Error::UnknownConnection`], or when the
/// database fails.
pub async fn find(
    core: &Core,
    environment: EnvironmentId,
    integration: &str,
    connection: &str,
) -> Result<i64, Error> {
    let found: Option<Option<i64>> = integrations::table
        .left_join(
            connections::table.on(connections::environment_id
                .eq(integrations::environment_id)
                .and(connections::integration_id.eq(integrations::id))
                .and(connections::connection_id.eq(connection))),
        )
        .filter(integrations::environment_id.eq(environment))
        .filter(integrations::unique_key.eq(integration))
        .select(connections::id.nullable())
        .first(&mut *core.db.conn().await?)
        .await
        .optional()?;
    match found {
        None => Err(Error::UnknownIntegration(integration.to_owned())),
        Some(None) => Err(Error::UnknownConnection {
            integration: integration.to_owned(),
            connection: connection.to_owned(),
        }),
        Some(Some(number)) => Ok(number),
    }
}
