//! `/connections`, and `/connection`, its older name (CONTRACT 2.6).

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::connect::Tags;
use linkspan_api::connections::{
    ConnectionFull, ConnectionList, ConnectionSummary, ImportConnection, UpdateConnection,
};
use linkspan_api::integrations::Success;
use linkspan_api::{ErrorCode, Scope};
use linkspan_shared::connections::live::{self, Freshness, LiveKey};
use linkspan_shared::connections::{self, Filter, Live};
use linkspan_shared::{Error, integrations};

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, Query, permission};

/// Connections in one answer, unless the caller sets a limit.
const DEFAULT_LIMIT: i64 = 10_000;
/// The largest limit that a caller can set.
const LARGEST_LIMIT: i64 = 2_000;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/connections", web::get().to(list))
        .route("/connections", web::post().to(import))
        .route("/connections/{connection_id}", web::get().to(get))
        .route("/connections/{connection_id}", web::patch().to(update))
        .route("/connections/{connection_id}", web::delete().to(delete))
        .route("/connection", web::get().to(list))
        .route("/connection", web::post().to(import))
        .route("/connection/{connection_id}", web::get().to(get))
        .route("/connection/{connection_id}", web::delete().to(delete));
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
        .map(
            |(connection, provider_config_key, provider)| ConnectionSummary {
                id: connection.id,
                connection_id: connection.connection_id,
                provider_config_key,
                provider,
                created: connection.created_at,
                metadata: connection.metadata,
                errors: Vec::new(),
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

async fn import(
    caller: Caller<permission::CreateConnection>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: ImportConnection = body.json().await?;
    let live = connections::import(&state.core, caller.environment_id(), body)
        .await
        .map_err(unknown_integration)?;
    let may_read = caller.scopes.contains(Scope::ConnectionsReadCredentials);
    Ok(HttpResponse::Ok().json(full(&live, may_read)))
}

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
