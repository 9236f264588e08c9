//! Clients that this server registers itself (RFC 7591), and the document by
//! which providers know it without a registration.

use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Double, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, RunQueryDsl};
use linkspan_auth::mcp::{self, Registration};
use linkspan_providers::{Config, Template};
use serde_json::{Map, Value};
use url::Url;
use uuid::Uuid;

use super::{Integration, context, get_by_id, update};
use crate::connections::{begin, live};
use crate::db::schema::integrations;
use crate::outbound::Outbound;
use crate::tenancy::EnvironmentId;
use crate::{Core, Error};

/// How often those look who wait for another server's registration.
const PAUSE: Duration = Duration::from_millis(200);

const CLAIM: &str = "UPDATE integrations \
    SET registering_until = clock_timestamp() + $3 * interval '1 second' \
    WHERE environment_id = $1 AND id = $2 \
        AND (registering_until IS NULL OR registering_until < clock_timestamp()) \
    RETURNING registering_until AS until";

#[derive(QueryableByName)]
struct Claim {
    #[diesel(sql_type = Timestamptz)]
    until: DateTime<Utc>,
}

/// The client that this server is for an integration whose provider it registers
/// with; nothing for the others, and for those that have a developer's client
/// meanwhile. A new one is registered where there is none, or
/// where it is for another callback or its secret has expired. Of any number of
/// servers one registers, and the others wait for it.
///
/// # Errors
/// When the provider refuses the registration, gives no answer, or the database
/// fails.
pub async fn registered(
    core: &Core,
    integration: &Integration,
    template: &Template,
) -> Result<Option<Registration>, Error> {
    if integration.client_id.is_some() || !mcp::registers(template) {
        return Ok(None);
    }
    let callback = begin::redirect_uri(&core.settings.public_url);
    let usable = |integration: &Integration| {
        let known = integration.secrets.registered.clone();
        known.filter(|known| known.is_usable(&callback, Utc::now()))
    };
    if let Some(known) = usable(integration) {
        return Ok(Some(known));
    }
    // As long as a registration that is tried twice may take, and one that waits
    // for a dead server's.
    let patience = core.settings.token_timeout * 3;
    let give_up = tokio::time::Instant::now() + patience * 2;
    loop {
        let claim = claim(core, integration, patience).await?;
        let now = reload(core, integration).await?;
        let settled = match &now.client_id {
            Some(_) => Some(None),
            None => usable(&now).map(Some),
        };
        if let Some(settled) = settled {
            if let Some(claim) = claim {
                release(core, integration, claim).await?;
            }
            return Ok(settled);
        }
        if let Some(claim) = claim
            && let Some(kept) = register(core, &now, template, &callback, claim).await?
        {
            return Ok(Some(kept));
        }
        if tokio::time::Instant::now() >= give_up {
            return Err(Error::RegistrationPending(integration.unique_key.clone()));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Registers with the provider; nothing when that came too late to be kept.
async fn register(
    core: &Core,
    integration: &Integration,
    template: &Template,
    callback: &str,
    claim: DateTime<Utc>,
) -> Result<Option<Registration>, Error> {
    let config = Config {
        template,
        connection: &Map::new(),
        integration: &integration.config,
    };
    let provider = Outbound::new(core);
    let answer = mcp::register(&config, callback, &provider).await;
    let kept = match answer {
        Ok(registration) => keep(core, integration, &registration, claim)
            .await
            .map(|is_kept| is_kept.then_some(registration)),
        Err(error) => Err(error.into()),
    };
    if !matches!(kept, Ok(Some(_))) {
        release(core, integration, claim).await?;
    }
    kept
}

async fn claim(
    core: &Core,
    integration: &Integration,
    life: Duration,
) -> Result<Option<DateTime<Utc>>, Error> {
    let claims: Vec<Claim> = diesel::sql_query(CLAIM)
        .bind::<SqlUuid, _>(integration.environment_id.0)
        .bind::<SqlUuid, _>(integration.id)
        .bind::<Double, _>(life.as_secs_f64())
        .load(&mut core.db.conn().await?)
        .await?;
    Ok(claims.into_iter().next().map(|claim| claim.until))
}

async fn release(
    core: &Core,
    integration: &Integration,
    claim: DateTime<Utc>,
) -> Result<(), Error> {
    let row = integrations::table.find((integration.environment_id, integration.id));
    diesel::update(row)
        .filter(integrations::registering_until.eq(claim))
        .set(integrations::registering_until.eq(None::<DateTime<Utc>>))
        .execute(&mut core.db.conn().await?)
        .await?;
    Ok(())
}

async fn reload(core: &Core, integration: &Integration) -> Result<Integration, Error> {
    let keys = core.vault.environment(integration.environment_id).await?;
    let mut conn = core.db.conn().await?;
    get_by_id(&mut conn, &keys, integration.environment_id, integration.id).await
}

/// Seals the client among the integration's secrets, whatever else has changed
/// of them meanwhile. It is not kept when the claim has run out and another
/// server has taken it over, nor beside a developer's client.
async fn keep(
    core: &Core,
    integration: &Integration,
    registration: &Registration,
    claim: DateTime<Utc>,
) -> Result<bool, Error> {
    let environment = integration.environment_id;
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let is_kept = conn
        .transaction(async |conn| {
            let row = integrations::table.find((environment, integration.id));
            let mut now = update::lock_by_id(conn, &keys, environment, integration.id).await?;
            let claimed: Option<DateTime<Utc>> = row
                .select(integrations::registering_until)
                .first(conn)
                .await?;
            if now.client_id.is_some() || claimed != Some(claim) {
                return Ok::<_, Error>(false);
            }
            now.secrets.registered = Some(registration.clone());
            let secrets = keys.seal_json(&context(&integration.id), &now.secrets)?;
            diesel::update(row)
                .set((
                    integrations::secrets.eq(secrets),
                    integrations::registering_until.eq(None::<DateTime<Utc>>),
                ))
                .execute(conn)
                .await?;
            Ok(true)
        })
        .await?;
    live::forget_integration(core, environment, &integration.unique_key);
    Ok(is_kept)
}

/// The address of this server's document for an integration, if its provider
/// may know it by one.
#[must_use]
pub fn document_url(core: &Core, integration: &Integration, template: &Template) -> Option<Url> {
    mcp::has_document(template).then(|| {
        let (environment, key) = (integration.environment_id, &integration.unique_key);
        address(&core.settings.public_url, environment, key)
    })
}

fn address(public_url: &Url, environment: EnvironmentId, unique_key: &str) -> Url {
    let mut url = public_url.clone();
    let id = environment.0.to_string();
    // One without a path, such as `data:`, is no public URL.
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty()
            .extend(["oauth", "client-metadata", &id, unique_key]);
    }
    url
}

/// The document by which a provider knows this server, for an integration whose
/// provider may.
///
/// # Errors
/// [`Error::NoDocument`] for all others; when the database fails.
pub async fn document(core: &Core, environment: Uuid, unique_key: &str) -> Result<Value, Error> {
    let environment = EnvironmentId(environment);
    let provider: Option<String> = integrations::table
        .filter(integrations::environment_id.eq(environment))
        .filter(integrations::unique_key.eq(unique_key))
        .select(integrations::provider)
        .first(&mut core.db.conn().await?)
        .await
        .optional()?;
    let template = provider.and_then(|provider| core.template(&provider).ok());
    if !template.is_some_and(|template| mcp::has_document(&template)) {
        return Err(Error::NoDocument);
    }
    let home = &core.settings.public_url;
    let callback = begin::redirect_uri(home);
    let url = address(home, environment, unique_key);
    Ok(mcp::document(url.as_str(), home.as_str(), &callback))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_documents_address_is_below_the_public_one() {
        let environment = EnvironmentId(Uuid::nil());
        for (home, expected) in [
            (
                "https://x.example",
                "https://x.example/oauth/client-metadata/",
            ),
            (
                "https://x.example/linkspan/",
                "https://x.example/linkspan/oauth/client-metadata/",
            ),
        ] {
            let url = address(&home.parse().unwrap(), environment, "my mcp/1");
            let id = Uuid::nil();
            assert_eq!(url.as_str(), format!("{expected}{id}/my%20mcp%2F1"));
        }
    }
}
