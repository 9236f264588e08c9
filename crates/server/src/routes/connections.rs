//! `/connections` (CONTRACT 2.6).

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::{ErrorCode, Scope};
use linkspan_api::connections::{ConnectionFull, ConnectionList, ConnectionSummary};
use linkspan_api::integrations::Success;
use linkspan_shared::connections::live::{self, Freshness, LiveKey};
use linkspan_shared::connections::{self, Filter, Live};
use linkspan_shared::{Error, integrations};

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Caller, Query, permission};

/// Most connections in one answer.
const MOST: i64 = 10_000;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/connections", web::get().to(list))
        .route("/connections/{connection_id}", web::get().to(get))
        .route("/connections/{connection_id}", web::delete().to(delete));
}

async fn list(
    caller: Caller<permission::ListConnections>,
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let filter = filter(Query::of(&request))?;
    let core = &state.core;
    let keys = core.vault.environment(caller.environment_id()).await?;
    let mut conn = core.db.conn().await?;
    let connections = connections::list(&mut conn, &keys, caller.environment_id(), &filter)
        .await?
        .into_iter()
        .map(|(connection, provider_config_key, provider)| ConnectionSummary {
            id: connection.id,
            connection_id: connection.connection_id,
            provider_config_key,
            provider,
            created: connection.created_at,
            metadata: connection.metadata,
            errors: Vec::new(),
            end_user: connection.end_user,
            tags: connection.tags,
        })
        .collect();
    Ok(HttpResponse::Ok().json(ConnectionList { connections }))
}

fn filter(mut query: Query) -> Result<Filter, Failure> {
    let limit = query.number("limit", 1..=MOST)?.unwrap_or(MOST);
    let page = query.number("page", 0..=i64::from(i32::MAX))?.unwrap_or(0);
    let integrations: Vec<String> = query
        .take_all("integrationId")
        .iter()
        .flat_map(|list| list.split(','))
        .map(str::to_owned)
        .collect();
    let filter = Filter {
        connection_id: query.take("connectionId"),
        end_user_id: query.take("endUserId"),
        integrations: (!integrations.is_empty()).then_some(integrations),
        limit,
        offset: limit * page,
    };
    query.end()?;
    Ok(filter)
}

async fn get(
    caller: Caller<permission::ReadConnection>,
    state: web::Data<State>,
    connection_id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let provider_config_key = query.require("provider_config_key")?;
    let is_forced = query.flag("force_refresh")?;
    // The refresh token is part of the credentials already, and GitHub Apps
    // come with their auth mode; the published clients always send both.
    let _ = (query.flag("refresh_token")?, query.flag("refresh_github_app_jwt_token")?);
    query.end()?;
    let may_read_credentials = caller.scopes.contains(Scope::ConnectionsReadCredentials);
    if is_forced && !may_read_credentials {
        return Err(Failure::new(
            ErrorCode::Forbidden,
            format!(
                "Insufficient scope. Required: {}",
                Scope::ConnectionsReadCredentials.as_str()
            ),
        ));
    }
    let key = LiveKey::new(caller.environment_id(), &provider_config_key, &connection_id);
    let freshness = if is_forced { Freshness::Forced } else { Freshness::Cached };
    let live = live::get(&state.core, key, freshness)
        .await
        .map_err(unknown_integration)?;
    Ok(HttpResponse::Ok().json(full(&live, may_read_credentials)))
}

fn full(live: &Live, with_credentials: bool) -> ConnectionFull {
    let connection = &live.connection;
    ConnectionFull {
        id: connection.id,
        connection_id: connection.connection_id.clone(),
        provider_config_key: live.integration.unique_key.clone(),
        provider: live.integration.provider.clone(),
        errors: Vec::new(),
        end_user: connection.end_user.clone(),
        metadata: connection.metadata.clone(),
        connection_config: connection.connection_config.clone().into(),
        tags: connection.tags.clone(),
        created_at: connection.created_at,
        updated_at: connection.updated_at,
        last_fetched_at: connection.last_fetched_at,
        credentials: if with_credentials {
            connection.credentials.to_wire()
        } else {
            serde_json::json!({})
        },
    }
}

/// On these routes the integration is a parameter, not the resource, so a
/// wrong one is a bad request (CONTRACT 2.6).
fn unknown_integration(error: Error) -> Failure {
    let failure = Failure::from(error);
    match failure.code() {
        ErrorCode::UnknownProviderConfig => failure.with_status(400),
        _ => failure,
    }
}

/// Deleting has a code of its own for a connection that is not there.
fn unknown_connection(error: Error) -> Failure {
    match error {
        Error::UnknownConnection { .. } => {
            Failure::new(ErrorCode::UnknownConnection, error.to_string())
        }
        error => error.into(),
    }
}

async fn delete(
    caller: Caller<permission::DeleteConnection>,
    state: web::Data<State>,
    connection_id: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let unique_key = query.require("provider_config_key")?;
    query.end()?;
    let core = &state.core;
    let keys = core.vault.environment(caller.environment_id()).await?;
    let mut conn = core.db.conn().await?;
    let integration =
        integrations::get(&mut conn, &keys, caller.environment_id(), &unique_key)
            .await
            .map_err(unknown_integration)?;
    connections::delete(&mut conn, &integration, &connection_id)
        .await
        .map_err(unknown_connection)?;
    let key = LiveKey::new(caller.environment_id(), &unique_key, &connection_id);
    live::forget(core, &key).await;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}
