//! Which syncs a call names.

use std::collections::HashMap;

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use linkspan_records::BASE;
use linkspan_shared::db::Connection;
use linkspan_shared::db::schema::{connections, integrations, syncs};
use linkspan_shared::tenancy::EnvironmentId;
use uuid::Uuid;

use crate::Error;
use crate::functions::{Recorded, of_integration};
use crate::sync::{LEAVING, Sync};

/// Names a sync of a connection: its function, and its variant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The function's name.
    pub name: String,
    /// The variant.
    pub variant: String,
}

impl Name {
    /// A function's base variant.
    pub fn base(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            variant: BASE.to_owned(),
        }
    }

    /// Reads `name`, or `name::variant`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once("::") {
            Some((name, variant)) => Self {
                name: name.to_owned(),
                variant: variant.to_owned(),
            },
            None => Self::base(text),
        }
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.variant == BASE {
            true => f.write_str(&self.name),
            false => write!(f, "{}::{}", self.name, self.variant),
        }
    }
}

/// Whose syncs a call is about.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// The environment.
    pub environment: EnvironmentId,
    /// The integration's key.
    pub integration: &'a str,
    /// The connection's id; all of the integration when absent.
    pub connection: Option<&'a str>,
    /// The syncs; all when empty.
    pub names: &'a [Name],
}

/// A sync with what it belongs to.
pub(crate) struct Found {
    pub(crate) id: Uuid,
    pub(crate) sync: Sync,
    pub(crate) function: Recorded,
    pub(crate) connection_id: String,
}

/// The integration's number.
pub(crate) async fn integration(
    conn: &mut Connection,
    environment: EnvironmentId,
    unique_key: &str,
) -> Result<Uuid, Error> {
    let id: Option<Uuid> = integrations::table
        .filter(integrations::environment_id.eq(environment))
        .filter(integrations::unique_key.eq(unique_key))
        .select(integrations::id)
        .first(conn)
        .await
        .optional()?;
    id.ok_or_else(|| linkspan_shared::Error::UnknownIntegration(unique_key.to_owned()).into())
}

/// The connection's number.
pub(crate) async fn connection(
    conn: &mut Connection,
    environment: EnvironmentId,
    (integration, unique_key): (Uuid, &str),
    connection_id: &str,
) -> Result<i64, Error> {
    let number: Option<i64> = connections::table
        .filter(connections::environment_id.eq(environment))
        .filter(connections::integration_id.eq(integration))
        .filter(connections::connection_id.eq(connection_id))
        .select(connections::id)
        .first(conn)
        .await
        .optional()?;
    number.ok_or_else(|| {
        linkspan_shared::Error::UnknownConnection {
            integration: unique_key.to_owned(),
            connection: connection_id.to_owned(),
        }
        .into()
    })
}

/// The syncs of a scope, by connection and function. With a connection each name
/// must be one of its syncs; without one, one of them has to be somebody's.
pub(crate) async fn resolve(conn: &mut Connection, scope: &Scope<'_>) -> Result<Vec<Found>, Error> {
    let found = look(conn, scope).await?;
    let missing = |name: &&Name| !found.iter().any(|found| found.is(name));
    if scope.connection.is_some()
        && let Some(name) = scope.names.iter().find(missing)
    {
        return Err(Error::NoSyncs(Some(name.to_string())));
    }
    match found.is_empty() && (scope.connection.is_none() || !scope.names.is_empty()) {
        true => Err(Error::NoSyncs(None)),
        false => Ok(found),
    }
}

impl Found {
    fn is(&self, name: &Name) -> bool {
        self.function.name == name.name && self.sync.variant == name.variant
    }
}

/// The same, with none where there is none.
pub(crate) async fn look(conn: &mut Connection, scope: &Scope<'_>) -> Result<Vec<Found>, Error> {
    let environment = scope.environment;
    let integration = (
        integration(conn, environment, scope.integration).await?,
        scope.integration,
    );
    let functions = of_integration(conn, environment, integration.0).await?;
    let is_named = |function: &Recorded| {
        scope.names.is_empty() || scope.names.iter().any(|name| name.name == function.name)
    };
    let functions: HashMap<Uuid, Recorded> = functions
        .into_iter()
        .filter(is_named)
        .map(|function| (function.id, function))
        .collect();
    let ids: Vec<Uuid> = functions.keys().copied().collect();
    let number = match scope.connection {
        Some(id) => Some(connection(conn, environment, integration, id).await?),
        None => None,
    };
    let of_functions = syncs::table
        .filter(syncs::environment_id.eq(environment))
        .filter(syncs::function_id.eq_any(ids))
        .filter(syncs::state.ne(LEAVING))
        .order((syncs::connection, syncs::id))
        .select(Sync::as_select());
    let all: Vec<Sync> = match number {
        Some(number) => {
            of_functions
                .filter(syncs::connection.eq(number))
                .load(conn)
                .await?
        }
        None => of_functions.load(conn).await?,
    };
    let names = connection_ids(conn, environment, &all).await?;
    let found = all.into_iter().filter_map(|sync| {
        Some(Found {
            id: sync.id,
            function: functions.get(&sync.function_id)?.clone(),
            connection_id: names.get(&sync.connection)?.clone(),
            sync,
        })
    });
    let named =
        |found: &Found| scope.names.is_empty() || scope.names.iter().any(|name| found.is(name));
    Ok(found.filter(named).collect())
}

/// What the API calls the connections of syncs.
async fn connection_ids(
    conn: &mut Connection,
    environment: EnvironmentId,
    all: &[Sync],
) -> Result<HashMap<i64, String>, Error> {
    let mut numbers: Vec<i64> = all.iter().map(|sync| sync.connection).collect();
    numbers.dedup();
    let rows: Vec<(i64, String)> = connections::table
        .filter(connections::environment_id.eq(environment))
        .filter(connections::id.eq_any(numbers))
        .select((connections::id, connections::connection_id))
        .load(conn)
        .await?;
    Ok(rows.into_iter().collect())
}
