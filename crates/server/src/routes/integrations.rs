//! `/integrations`, and the deprecated `/config` (CONTRACT 2.6).

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::Scope;
use linkspan_api::integrations::{
    CreateIntegration, Data, Integration as Wire, IntegrationCredentials, IntegrationFull,
    LegacyConfig, LegacyCredentials, LegacyIntegration, QuickstartIntegration, Success,
    UpdateIntegration,
};
use linkspan_shared::integrations::{self, Integration};
use linkspan_shared::tenancy::EnvironmentId;
use secrecy::ExposeSecret;

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, CallerOrSession, Query, permission};
use crate::openapi::{Routes, routes};

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; list, create, quickstart, get, update, delete, legacy);
}

#[utoipa::path(
    get,
    path = "/integrations",
    operation_id = "list_integrations",
    tag = "Integrations",
    summary = "List the integrations",
    responses(
        (status = 200, description = "The integrations.", body = Data<Vec<Wire>>),
    )
)]
async fn list(
    caller: CallerOrSession<permission::ListIntegrations>,
    state: web::Data<State>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    // The Connect UI sends its token here as well as in the header.
    query.take("connect_session_token");
    query.end()?;
    let core = &state.core;
    let environment = caller.environment_id();
    let keys = core.vault.environment(environment).await?;
    let mut conn = core.db.conn().await?;
    let data: Vec<Wire> = integrations::list(&mut conn, &keys, environment)
        .await?
        .iter()
        .filter(|integration| caller.may_see(&integration.unique_key))
        .map(|integration| wire(&state, integration))
        .collect();
    Ok(HttpResponse::Ok().json(Data { data }))
}

#[utoipa::path(
    post,
    path = "/integrations",
    operation_id = "create_integration",
    tag = "Integrations",
    summary = "Create an integration",
    request_body = CreateIntegration,
    responses(
        (status = 200, description = "The new integration.", body = Data<Wire>),
        (status = 409, description = "The key is taken, or in use.", body = linkspan_api::ErrorBody)
    )
)]
async fn create(
    caller: Caller<permission::CreateIntegration>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: CreateIntegration = body.json().await?;
    let created = integrations::create(&state.core, caller.environment_id(), body).await?;
    Ok(answer(&state, &created))
}

#[utoipa::path(
    post,
    path = "/integrations/quickstart",
    operation_id = "quickstart_integration",
    tag = "Integrations",
    summary = "Create an integration that needs no client of your own",
    request_body = QuickstartIntegration,
    responses(
        (status = 200, description = "The new integration.", body = Data<Wire>),
        (status = 409, description = "The key is taken, or in use.", body = linkspan_api::ErrorBody)
    )
)]
async fn quickstart(
    caller: Caller<permission::CreateIntegration>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: QuickstartIntegration = body.json().await?;
    let created = integrations::quickstart(&state.core, caller.environment_id(), body).await?;
    Ok(answer(&state, &created))
}

#[utoipa::path(
    patch,
    path = "/integrations/{unique_key}",
    operation_id = "update_integration",
    tag = "Integrations",
    summary = "Change an integration",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
    ),
    request_body = UpdateIntegration,
    responses(
        (status = 200, description = "The changed integration.", body = Data<Wire>),
        (status = 409, description = "The key is taken, or in use.", body = linkspan_api::ErrorBody)
    )
)]
async fn update(
    caller: Caller<permission::UpdateIntegration>,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: UpdateIntegration = body.json().await?;
    let environment = caller.environment_id();
    let updated = integrations::update(&state.core, environment, &unique_key, body).await?;
    Ok(answer(&state, &updated))
}

fn answer(state: &State, integration: &Integration) -> HttpResponse {
    HttpResponse::Ok().json(Data {
        data: wire(state, integration),
    })
}

#[utoipa::path(
    get,
    path = "/integrations/{unique_key}",
    operation_id = "get_integration",
    tag = "Integrations",
    summary = "Show an integration",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        ("include" = Option<Vec<String>>, Query, description = "What to show as well: `webhook`, `credentials`."),
    ),
    responses(
        (status = 200, description = "The integration.", body = Data<IntegrationFull>),
    )
)]
async fn get(
    caller: Caller<permission::ReadIntegration>,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let include = query.take_all("include");
    query.end()?;
    let is_known = |name: &String| matches!(name.as_str(), "webhook" | "credentials");
    if !include.iter().all(is_known) {
        let message = "must be webhook or credentials";
        return Err(Failure::query("invalid_enum_value", message, "include"));
    }
    let includes = |name| include.iter().any(|included| included == name);
    let wants_credentials = includes("credentials");
    if wants_credentials {
        caller.require(Scope::IntegrationsReadCredentials)?;
    }
    let integration = find(&state, caller.environment_id(), &unique_key).await?;
    Ok(HttpResponse::Ok().json(Data {
        data: IntegrationFull {
            integration: wire(&state, &integration),
            // No route takes webhooks of providers yet, so none has an address.
            webhook_url: includes("webhook").then_some(None),
            credentials: wants_credentials.then(|| credentials(&state, &integration)),
        },
    }))
}

#[utoipa::path(
    get,
    path = "/config/{unique_key}",
    operation_id = "get_config_deprecated",
    tag = "Integrations",
    summary = "Show an integration as older clients expect it",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        ("include_creds" = Option<bool>, Query, description = "Whether to show its client."),
    ),
    responses(
        (status = 200, description = "The integration.", body = LegacyConfig),
    )
)]
/// The older form of [`get`], without what functions add to it.
async fn legacy(
    caller: Caller<permission::ReadIntegration>,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let wants_credentials = query.flag("include_creds")?;
    query.end()?;
    if wants_credentials {
        caller.require(Scope::IntegrationsReadCredentials)?;
    }
    let integration = find(&state, caller.environment_id(), &unique_key).await?;
    let credentials = wants_credentials.then(|| LegacyCredentials {
        client_id: integration.client_id.clone(),
        client_secret: integration.secrets.client_secret.as_ref().map(exposed),
        scopes: integration.scopes.clone(),
    });
    Ok(HttpResponse::Ok().json(LegacyConfig {
        config: LegacyIntegration {
            unique_key: integration.unique_key,
            provider: integration.provider,
            syncs: Vec::new(),
            actions: Vec::new(),
            credentials,
        },
    }))
}

async fn find(
    state: &State,
    environment: EnvironmentId,
    unique_key: &str,
) -> Result<Integration, Failure> {
    let keys = state.core.vault.environment(environment).await?;
    let mut conn = state.core.db.conn().await?;
    Ok(integrations::get(&mut conn, &keys, environment, unique_key).await?)
}

#[utoipa::path(
    delete,
    path = "/integrations/{unique_key}",
    operation_id = "delete_integration",
    tag = "Integrations",
    summary = "Delete an integration with its connections",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
    ),
    responses(
        (status = 200, description = "It is deleted.", body = Success),
    )
)]
async fn delete(
    caller: Caller<permission::DeleteIntegration>,
    state: web::Data<State>,
    unique_key: web::Path<String>,
) -> Result<HttpResponse, Failure> {
    integrations::delete(&state.core, caller.environment_id(), &unique_key).await?;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}

fn wire(state: &State, integration: &Integration) -> Wire {
    let provider = &integration.provider;
    Wire {
        unique_key: integration.unique_key.clone(),
        display_name: integration.display_name.clone().unwrap_or_else(|| {
            let template = state.core.template(provider);
            template.map_or_else(
                |_| provider.clone(),
                |template| template.display_name.clone(),
            )
        }),
        provider: provider.clone(),
        logo: state.logo_url(provider),
        created_at: integration.created_at,
        updated_at: integration.updated_at,
        forward_webhooks: integration.forward_webhooks,
    }
}

/// None of a provider that is gone: nobody can say of which type they are.
fn credentials(state: &State, integration: &Integration) -> Option<IntegrationCredentials> {
    let template = state.core.template(&integration.provider).ok()?;
    integrations::credentials(integration, &template)
}

fn exposed(secret: &secrecy::SecretString) -> String {
    secret.expose_secret().to_owned()
}
