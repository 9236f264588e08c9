//! `/connections`, and `/connection`, its older name (CONTRACT 2.6).

use actix_web::{HttpRequest, HttpResponse, web};
use chrono::Utc;
use linkspan_api::connect::Tags;
use linkspan_api::connections::{
    ConnectionError, ConnectionFull, ConnectionList, ConnectionSummary, ImportConnection,
    UpdateConnection,
};
use linkspan_api::integrations::Success;
use linkspan_api::legacy::ImportLegacyConnection;
use linkspan_api::{ErrorCode, Scope};
use linkspan_shared::connections::live::{self, Freshness, LiveKey};
use linkspan_shared::connections::{self, Filter, Live};
use linkspan_shared::{Core, Error, integrations};

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, Query, permission};
use crate::openapi::{Routes, routes};

/// Connections in one answer, unless the caller sets a limit.
const DEFAULT_LIMIT: i64 = 10_000;
/// The largest limit that a caller can set.
const LARGEST_LIMIT: i64 = 2_000;

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; list, import, import_legacy, get, update, delete);
    routes!(routes; deprecated "/connection" list);
    routes!(routes; deprecated "/connection/{connection_id}" get);
    routes!(routes; deprecated "/connection/{connection_id}" delete);
}

#[utoipa::path(
    get,
    path = "/connections",
    operation_id = "list_connections",
    tag = "Connections",
    summary = "List connections",
    params(
        ("connectionId" = Option<String>, Query, description = "Only the connection with this id."),
        ("search" = Option<String>, Query, description = "A part of the id, or of the end user's id, name or email."),
        ("integrationId" = Option<Vec<String>>, Query, description = "Only connections of these integrations; also comma separated."),
        ("tags" = Option<std::collections::BTreeMap<String, String>>, Query, description = "Only connections with all of these.", style = DeepObject, explode),
        ("endUserId" = Option<String>, Query, description = "Only connections of this end user."),
        ("endUserOrganizationId" = Option<String>, Query, description = "Only connections of this organisation."),
        ("limit" = Option<i64>, Query, description = "Connections in an answer; 10,000 when absent.", minimum = 1, maximum = 2000),
        ("page" = Option<i64>, Query, description = "Which page of so many, from 0.", minimum = 0),
    ),
    responses(
        (status = 200, description = "The connections, newest first.", body = ConnectionList),
    )
)]
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
        .map(
            |(connection, provider_config_key, provider)| ConnectionSummary {
                id: connection.id,
                connection_id: connection.connection_id,
                provider_config_key,
                provider,
                created: connection.created_at,
                metadata: connection.metadata,
                errors: errors(connection.refresh_error_log_id),
                end_user: connection.end_user,
                tags: connection.tags,
            },
        )
        .collect();
    Ok(HttpResponse::Ok().json(ConnectionList { connections }))
}

fn filter(mut query: Query) -> Result<Filter, Failure> {
    let limit = query
        .number("limit", 1..=LARGEST_LIMIT)?
        .unwrap_or(DEFAULT_LIMIT);
    let page = query.number("page", 0..=i64::from(i32::MAX))?.unwrap_or(0);
    let integrations: Vec<String> = query
        .take_all("integrationId")
        .iter()
        .flat_map(|list| list.split(','))
        .map(str::to_owned)
        .collect();
    let filter = Filter {
        connection_id: text(&mut query, "connectionId")?,
        search: text(&mut query, "search")?,
        end_user_id: text(&mut query, "endUserId")?,
        end_user_organization_id: text(&mut query, "endUserOrganizationId")?,
        integrations: (!integrations.is_empty()).then_some(integrations),
        tags: tags(&mut query)?,
        limit,
        offset: limit * page,
    };
    query.end()?;
    Ok(filter)
}

/// A text to compare with stored ones, none of which has a NUL.
fn text(query: &mut Query, name: &str) -> Result<Option<String>, Failure> {
    match query.take(name) {
        Some(text) if text.contains('\0') => Err(Failure::query(
            "invalid_string",
            "must not contain NUL",
            name,
        )),
        text => Ok(text),
    }
}

fn tags(query: &mut Query) -> Result<Tags, Failure> {
    let tags = Tags::from_iter(query.take_map("tags"));
    let has_nul = |(name, value): (&String, &String)| name.contains('\0') || value.contains('\0');
    match tags.iter().any(has_nul) {
        true => Err(Failure::query(
            "invalid_string",
            "must not contain NUL",
            "tags",
        )),
        false => Ok(tags),
    }
}

#[utoipa::path(
    post,
    path = "/connections",
    operation_id = "import_connection",
    tag = "Connections",
    summary = "Make a connection of credentials that you have",
    request_body = ImportConnection,
    responses(
        (status = 200, description = "The connection.", body = ConnectionFull),
    )
)]
async fn import(
    caller: Caller<permission::CreateConnection>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: ImportConnection = body.json().await?;
    imported(&caller, &state, body).await
}

#[utoipa::path(
    post,
    path = "/connection",
    operation_id = "import_connection_deprecated",
    tag = "Connections",
    summary = "Make a connection of credentials that you have, as older clients do",
    request_body = ImportLegacyConnection,
    responses((status = 200, description = "The connection.", body = ConnectionFull))
)]
async fn import_legacy(
    caller: Caller<permission::CreateConnection>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: ImportLegacyConnection = body.json().await?;
    imported(&caller, &state, body.into_import(Utc::now())).await
}

async fn imported(
    caller: &Caller<permission::CreateConnection>,
    state: &State,
    body: ImportConnection,
) -> Result<HttpResponse, Failure> {
    let live = connections::import(&state.core, caller.environment_id(), body)
        .await
        .map_err(unknown_integration)?;
    let may_read = caller.scopes.contains(Scope::ConnectionsReadCredentials);
    Ok(HttpResponse::Ok().json(full(&live, may_read)))
}

#[utoipa::path(
    patch,
    path = "/connections/{connection_id}",
    operation_id = "update_connection",
    tag = "Connections",
    summary = "Change a connection",
    params(
        ("connection_id" = String, Path, description = "The connection's id."),
        ("provider_config_key" = String, Query, description = "The integration's key."),
    ),
    request_body = UpdateConnection,
    responses(
        (status = 200, description = "It is changed.", body = Success),
    )
)]
async fn update(
    caller: Caller<permission::UpdateConnection>,
    state: web::Data<State>,
    connection_id: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let unique_key = query.require("provider_config_key")?;
    query.end()?;
    let body: UpdateConnection = body.json().await?;
    let environment = caller.environment_id();
    connections::update(&state.core, environment, &unique_key, &connection_id, body)
        .await
        .map_err(unknown_integration)?;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}

#[utoipa::path(
    get,
    path = "/connections/{connection_id}",
    operation_id = "get_connection",
    tag = "Connections",
    summary = "Show a connection with fresh credentials",
    params(
        ("connection_id" = String, Path, description = "The connection's id."),
        ("provider_config_key" = String, Query, description = "The integration's key."),
        ("force_refresh" = Option<bool>, Query, description = "Refresh even when the credentials are still good."),
        ("refresh_token" = Option<bool>, Query, description = "Accepted for old clients; the refresh token is part of the credentials."),
        ("refresh_github_app_jwt_token" = Option<bool>, Query, description = "Accepted for old clients."),
    ),
    responses(
        (status = 200, description = "The connection.", body = ConnectionFull),
        (status = 424, description = "The credentials could not be refreshed.", body = linkspan_api::ErrorBody),
    )
)]
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
    let _ = (
        query.flag("refresh_token")?,
        query.flag("refresh_github_app_jwt_token")?,
    );
    query.end()?;
    let may_read_credentials = caller.scopes.contains(Scope::ConnectionsReadCredentials);
    if is_forced {
        caller.require(Scope::ConnectionsReadCredentials)?;
    }
    let key = LiveKey::new(
        caller.environment_id(),
        &provider_config_key,
        &connection_id,
    );
    let freshness = if is_forced {
        Freshness::Forced
    } else {
        Freshness::Cached
    };
    match live::get(&state.core, key.clone(), freshness).await {
        Ok(live) => Ok(HttpResponse::Ok().json(full(&live, may_read_credentials))),
        Err(error) => Err(refused(&state.core, &key, error).await),
    }
}

/// A connection whose refresh failed is shown beside the failure, without its
/// credentials (CONTRACT 2.6).
async fn refused(core: &Core, key: &LiveKey, error: Error) -> Failure {
    let is_known = matches!(
        error.code(),
        ErrorCode::InvalidCredentials
            | ErrorCode::ConnectionRefreshBackoff
            | ErrorCode::ConnectionRefreshExhausted
    );
    let failure = unknown_integration(error);
    if !is_known {
        return failure;
    }
    match live::stored(core, key).await {
        Ok(live) => failure.with_payload(serde_json::json!({ "connection": full(&live, false) })),
        Err(_) => failure,
    }
}

fn errors(refresh: Option<uuid::Uuid>) -> Vec<ConnectionError> {
    let error = refresh.map(|operation| ConnectionError {
        kind: "auth".to_owned(),
        log_id: operation.to_string(),
    });
    error.into_iter().collect()
}

fn full(live: &Live, with_credentials: bool) -> ConnectionFull {
    let connection = &live.connection;
    ConnectionFull {
        id: connection.id,
        connection_id: connection.connection_id.clone(),
        provider_config_key: live.integration.unique_key.clone(),
        provider: live.integration.provider.clone(),
        errors: errors(connection.refresh_error_log_id),
        end_user: connection.end_user.clone(),
        metadata: connection.metadata.clone(),
        connection_config: connections::shown(live, with_credentials).into(),
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
pub(super) fn unknown_integration(error: Error) -> Failure {
    let failure = Failure::from(error);
    match failure.code() {
        ErrorCode::UnknownProviderConfig => failure.with_status(400),
        _ => failure,
    }
}

/// Deleting and writing metadata have a code of its own for a connection that is not there.
pub(super) fn unknown_connection(error: Error) -> Failure {
    match error {
        Error::UnknownConnection { .. } => {
            Failure::new(ErrorCode::UnknownConnection, error.to_string())
        }
        error => unknown_integration(error),
    }
}

#[utoipa::path(
    delete,
    path = "/connections/{connection_id}",
    operation_id = "delete_connection",
    tag = "Connections",
    summary = "Delete a connection",
    params(
        ("connection_id" = String, Path, description = "The connection's id."),
        ("provider_config_key" = String, Query, description = "The integration's key."),
    ),
    responses(
        (status = 200, description = "It is deleted.", body = Success),
    )
)]
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
    let integration = integrations::get(&mut conn, &keys, caller.environment_id(), &unique_key)
        .await
        .map_err(unknown_integration)?;
    connections::delete(&mut conn, &integration, &connection_id)
        .await
        .map_err(unknown_connection)?;
    let key = LiveKey::new(caller.environment_id(), &unique_key, &connection_id);
    live::forget(core, &key).await;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}
