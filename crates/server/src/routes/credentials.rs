//! Connecting with credentials that the end user types in (CONTRACT 2.1).

use std::collections::BTreeMap;

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::popup::AuthResult;
use linkspan_providers::AuthMode;
use linkspan_shared::connections::finish;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Browser, BrowserParams, Query};
use crate::openapi::{Routes, routes};

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; api_key, basic, unauthenticated);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ApiKey {
    #[serde(rename = "apiKey")]
    api_key: String,
}

#[utoipa::path(
    post,
    path = "/api-auth/api-key/{unique_key}",
    operation_id = "connect_api_key",
    tag = "Browser",
    summary = "Connect with an API key",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        BrowserParams,
    ),
    request_body = ApiKey,
    responses(
        (status = 200, description = "The connection.", body = AuthResult),
    )
)]
async fn api_key(
    browser: Browser,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: ApiKey = body.json().await?;
    let fields = BTreeMap::from([("apiKey".to_owned(), body.api_key)]);
    connect(
        browser,
        &state,
        &unique_key,
        &request,
        AuthMode::ApiKey,
        fields,
    )
    .await
}

/// Either may be empty: some APIs take a key in one place and nothing in the
/// other.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Basic {
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
}

#[utoipa::path(
    post,
    path = "/api-auth/basic/{unique_key}",
    operation_id = "connect_basic",
    tag = "Browser",
    summary = "Connect with a user name and a password",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        BrowserParams,
    ),
    request_body = Basic,
    responses(
        (status = 200, description = "The connection.", body = AuthResult),
    )
)]
async fn basic(
    browser: Browser,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: Basic = body.json().await?;
    let fields = BTreeMap::from([
        ("username".to_owned(), body.username),
        ("password".to_owned(), body.password),
    ]);
    connect(
        browser,
        &state,
        &unique_key,
        &request,
        AuthMode::Basic,
        fields,
    )
    .await
}

#[utoipa::path(
    post,
    path = "/auth/unauthenticated/{unique_key}",
    operation_id = "connect_unauthenticated",
    tag = "Browser",
    summary = "Connect to an API that asks for no credentials",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        BrowserParams,
    ),
    responses(
        (status = 200, description = "The connection.", body = AuthResult),
    )
)]
/// The body, which the published client sends empty or as `{}`, is not read.
async fn unauthenticated(
    browser: Browser,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
) -> Result<HttpResponse, Failure> {
    connect(
        browser,
        &state,
        &unique_key,
        &request,
        AuthMode::None,
        BTreeMap::new(),
    )
    .await
}

/// The one way in for credentials, whatever their mode.
async fn connect(
    Browser(session): Browser,
    state: &State,
    unique_key: &str,
    request: &HttpRequest,
    mode: AuthMode,
    fields: BTreeMap<String, String>,
) -> Result<HttpResponse, Failure> {
    let mut query = Query::of(request);
    Browser::take(&mut query);
    let connection_config = connection_config(&mut query);
    query.end()?;
    let core = &state.core;
    let finished =
        finish::fields(core, &session, unique_key, mode, &fields, connection_config).await?;
    Ok(HttpResponse::Ok().json(AuthResult {
        provider_config_key: finished.integration,
        connection_id: finished.connection_id,
    }))
}

/// The `params[…]` of a browser's call. Where webhooks go is the backend's to
/// say, so that one is dropped.
pub(super) fn connection_config(query: &mut Query) -> Map<String, Value> {
    query
        .take_map("params")
        .into_iter()
        .filter(|(name, _)| name != "webhook_url")
        .map(|(name, value)| (name, value.into()))
        .collect()
}
