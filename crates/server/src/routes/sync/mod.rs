//! `/sync/…`: what syncs are told, and how they are (CONTRACT 2.9).

mod shown;
mod variants;

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::integrations::Success;
use linkspan_api::syncs::{
    Frequency, SyncMode, SyncName, SyncStatuses, TellSyncs, TriggerSyncs, UpdateFrequency,
};
use linkspan_api::{ErrorCode, FieldError};
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_syncs::{Error, Name, Opts, Scope};

use super::connections::unknown_integration;
use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, Query, permission};
use crate::openapi::{Routes, routes};

/// Syncs that one call may name.
const MOST: usize = 256;

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; trigger, start, pause, status, update_frequency);
    variants::configure(routes);
}

/// On these routes the integration and the connection are parameters, not the
/// resource.
fn failure(error: Error) -> Failure {
    match error {
        Error::Core(error @ linkspan_shared::Error::UnknownConnection { .. }) => {
            Failure::new(ErrorCode::UnknownConnection, error.to_string())
        }
        Error::Core(error) => unknown_integration(error),
        error => error.into(),
    }
}

fn wrong(message: impl Into<String>, field: &str) -> Failure {
    let field = FieldError::new("invalid_string", message, &[field]);
    Failure::fields(ErrorCode::InvalidBody, vec![field])
}

fn names(syncs: Vec<SyncName>) -> Result<Vec<Name>, Failure> {
    if syncs.len() > MOST {
        let field = FieldError::new("too_big", format!("at most {MOST}"), &["syncs"]);
        return Err(Failure::fields(ErrorCode::InvalidBody, vec![field]));
    }
    let name = |one| match one {
        SyncName::Name(text) => Name::parse(&text),
        SyncName::Variant(of) => Name {
            name: of.name,
            variant: of.variant,
        },
    };
    Ok(syncs.into_iter().map(name).collect())
}

#[utoipa::path(
    post,
    path = "/sync/trigger",
    operation_id = "trigger_syncs",
    tag = "Syncs",
    summary = "Run syncs now",
    params(
        ("Provider-Config-Key" = Option<String>, Header, description = "The integration's key, unless the body has it."),
        ("Connection-Id" = Option<String>, Header, description = "The connection's id, unless the body has it."),
    ),
    request_body = TriggerSyncs,
    responses(
        (status = 200, description = "They run, or will when the run that is under way has ended.", body = Success),
    )
)]
async fn trigger(
    caller: Caller<permission::ExecuteSyncs>,
    state: web::Data<State>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    Query::of(&request).end()?;
    let body: TriggerSyncs = body.json().await?;
    let opts = opts(&body)?;
    let integration = body
        .provider_config_key
        .or_else(|| header(&request, "provider-config-key"))
        .ok_or_else(|| Failure::of(ErrorCode::MissingProviderConfigKey))?;
    let connection = body
        .connection_id
        .or_else(|| header(&request, "connection-id"));
    let names = names(body.syncs)?;
    let scope = Scope {
        environment: caller.environment_id(),
        integration: &integration,
        connection: connection.as_deref(),
        names: &names,
    };
    linkspan_syncs::trigger(&state.core, &scope, opts)
        .await
        .map_err(failure)?;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}

/// What a header names, if it names something.
fn header(request: &HttpRequest, name: &str) -> Option<String> {
    let value = request.headers().get(name)?;
    let text = std::str::from_utf8(value.as_bytes()).ok()?;
    Some(text.to_owned()).filter(|text| !text.is_empty())
}

/// What is to be done first, said in the new way or the old.
fn opts(body: &TriggerSyncs) -> Result<Opts, Failure> {
    let is_old = body.sync_mode.is_some() || body.full_resync.is_some();
    if body.opts.is_some() && is_old {
        let message = "cannot be used with the deprecated sync_mode or full_resync";
        return Err(wrong(message, "opts"));
    }
    if let Some(opts) = body.opts {
        return Ok(Opts {
            reset: opts.reset.unwrap_or(false),
            empty_cache: opts.empty_cache.unwrap_or(false),
        });
    }
    Ok(Opts {
        reset: match body.sync_mode {
            Some(mode) => mode != SyncMode::Incremental,
            None => body.full_resync.unwrap_or(false),
        },
        empty_cache: body.sync_mode == Some(SyncMode::FullRefreshAndClearCache),
    })
}

#[utoipa::path(
    post,
    path = "/sync/start",
    operation_id = "start_syncs",
    tag = "Syncs",
    summary = "Let syncs run by their schedules, and now",
    request_body = TellSyncs,
    responses(
        (status = 200, description = "They run by their schedules.", body = Success),
    )
)]
async fn start(
    caller: Caller<permission::ExecuteSyncs>,
    state: web::Data<State>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    Query::of(&request).end()?;
    let body: TellSyncs = body.json().await?;
    let names = names(body.syncs)?;
    let scope = Scope {
        environment: caller.environment_id(),
        integration: &body.provider_config_key,
        connection: body.connection_id.as_deref(),
        names: &names,
    };
    linkspan_syncs::start(&state.core, &scope)
        .await
        .map_err(failure)?;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}

#[utoipa::path(
    post,
    path = "/sync/pause",
    operation_id = "pause_syncs",
    tag = "Syncs",
    summary = "Let syncs run no more by their schedules, and end their runs",
    request_body = TellSyncs,
    responses(
        (status = 200, description = "They are paused.", body = Success),
    )
)]
async fn pause(
    caller: Caller<permission::ExecuteSyncs>,
    state: web::Data<State>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    Query::of(&request).end()?;
    let body: TellSyncs = body.json().await?;
    let names = names(body.syncs)?;
    let scope = Scope {
        environment: caller.environment_id(),
        integration: &body.provider_config_key,
        connection: body.connection_id.as_deref(),
        names: &names,
    };
    linkspan_syncs::pause(&state.core, &scope)
        .await
        .map_err(failure)?;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}

#[utoipa::path(
    get,
    path = "/sync/status",
    operation_id = "sync_status",
    tag = "Syncs",
    summary = "How syncs are",
    params(
        ("syncs" = String, Query, description = "Their names, comma separated, each `name` or `name::variant`; `*` for all."),
        ("provider_config_key" = String, Query, description = "The integration's key."),
        ("connection_id" = Option<String>, Query, description = "The connection's id; every connection of the integration when absent."),
    ),
    responses(
        (status = 200, description = "Those that there are.", body = SyncStatuses),
    )
)]
async fn status(
    caller: Caller<permission::ReadSyncs>,
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let syncs = query.require("syncs")?;
    let integration = query.require("provider_config_key")?;
    let connection = query.take("connection_id");
    query.end()?;
    let names = match syncs.as_str() {
        "*" => Vec::new(),
        text => text
            .split(',')
            .map(|name| Name::parse(name.trim()))
            .collect(),
    };
    let scope = Scope {
        environment: caller.environment_id(),
        integration: &integration,
        connection: connection.as_deref(),
        names: &names,
    };
    let all = linkspan_syncs::status(&state.core, &state.records, &scope)
        .await
        .map_err(failure)?;
    let syncs = all.into_iter().map(shown::status).collect();
    Ok(HttpResponse::Ok().json(SyncStatuses { syncs }))
}

#[utoipa::path(
    put,
    path = "/sync/update-connection-frequency",
    operation_id = "update_sync_frequency",
    tag = "Syncs",
    summary = "Let a connection's sync run in intervals of its own",
    request_body = UpdateFrequency,
    responses(
        (status = 200, description = "What holds now.", body = Frequency),
    )
)]
async fn update_frequency(
    caller: Caller<permission::UpdateSyncs>,
    state: web::Data<State>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    Query::of(&request).end()?;
    let body: UpdateFrequency = body.json().await?;
    let Some(frequency) = &body.frequency else {
        let field = FieldError::new("invalid_type", "Required", &["frequency"]);
        return Err(Failure::fields(ErrorCode::InvalidBody, vec![field]));
    };
    let frequency = set(&state, caller.environment_id(), &body, frequency.as_deref()).await?;
    Ok(HttpResponse::Ok().json(Frequency { frequency }))
}

async fn set(
    state: &State,
    environment: EnvironmentId,
    body: &UpdateFrequency,
    frequency: Option<&str>,
) -> Result<String, Failure> {
    let mut name = Name::base(&body.sync_name);
    if let Some(variant) = &body.sync_variant {
        name.variant.clone_from(variant);
    }
    let scope = Scope {
        environment,
        integration: &body.provider_config_key,
        connection: Some(&body.connection_id),
        names: &[],
    };
    linkspan_syncs::set_frequency(&state.core, &scope, &name, frequency)
        .await
        .map_err(|error| match error {
            Error::Frequency(error) => wrong(error.to_string(), "frequency"),
            error => failure(error),
        })
}
