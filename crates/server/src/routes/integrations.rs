//! `/integrations` (CONTRACT 2.6).

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::integrations::{
    CreateIntegration, Data, Integration as Wire, IntegrationCredentials, IntegrationFull, Success,
};
use linkspan_api::{ErrorCode, Scope};
use linkspan_shared::integrations::{self, Integration};
use secrecy::ExposeSecret;

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, CallerOrSession, Query, permission};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/integrations", web::get().to(list))
        .route("/integrations", web::post().to(create))
        .route("/integrations/{unique_key}", web::get().to(get))
        .route("/integrations/{unique_key}", web::delete().to(delete));
}

async fn list(
    caller: CallerOrSession<permission::ListIntegrations>,
    state: web::Data<State>,
) -> Result<HttpResponse, Failure> {
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

async fn create(
    caller: Caller<permission::CreateIntegration>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: CreateIntegration = body.json().await?;
    let created =
        integrations::create(&state.core, caller.environment_id(), body).await?;
    Ok(HttpResponse::Ok().json(Data {
        data: wire(&state, &created),
    }))
}

async fn get(
    caller: Caller<permission::ReadIntegration>,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(&request);
    let include = query.take_all("include");
    query.end()?;
    for name in &include {
        if !matches!(name.as_str(), "webhook" | "credentials") {
            return Err(Failure::query(
                "invalid_enum_value",
                "must be webhook or credentials",
                "include",
            ));
        }
    }
    let wants_credentials = include.iter().any(|name| name == "credentials");
    if wants_credentials && !caller.scopes.contains(Scope::IntegrationsReadCredentials) {
        let scope = Scope::IntegrationsReadCredentials.as_str();
        let message = format!("Insufficient scope. Required: {scope}");
        return Err(Failure::new(ErrorCode::Forbidden, message));
    }
    let core = &state.core;
    let keys = core.vault.environment(caller.environment_id()).await?;
    let mut conn = core.db.conn().await?;
    let integration =
        integrations::get(&mut conn, &keys, caller.environment_id(), &unique_key).await?;
    Ok(HttpResponse::Ok().json(Data {
        data: IntegrationFull {
            integration: wire(&state, &integration),
            credentials: wants_credentials.then(|| credentials(&integration)),
        },
    }))
}

async fn delete(
    caller: Caller<permission::DeleteIntegration>,
    state: web::Data<State>,
    unique_key: web::Path<String>,
) -> Result<HttpResponse, Failure> {
    let mut conn = state.core.db.conn().await?;
    integrations::delete(&mut conn, caller.environment_id(), &unique_key).await?;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}

fn wire(state: &State, integration: &Integration) -> Wire {
    let provider = &integration.provider;
    Wire {
        unique_key: integration.unique_key.clone(),
        display_name: integration.display_name.clone().unwrap_or_else(|| {
            let template = state.core.template(provider);
            template.map_or_else(|_| provider.clone(), |template| template.display_name.clone())
        }),
        provider: provider.clone(),
        logo: state.logo_url(provider),
        created_at: integration.created_at,
        updated_at: integration.updated_at,
        forward_webhooks: integration.forward_webhooks,
    }
}

fn credentials(integration: &Integration) -> Option<IntegrationCredentials> {
    let secret = |secret: &secrecy::SecretString| secret.expose_secret().to_owned();
    Some(IntegrationCredentials::OAuth2 {
        client_id: integration.client_id.clone()?,
        client_secret: integration.secrets.client_secret.as_ref().map(secret)?,
        scopes: integration.scopes.clone(),
        webhook_secret: integration.secrets.webhook_secret.as_ref().map(secret),
    })
}
