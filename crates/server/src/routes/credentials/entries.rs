//! Credentials that stay what the end user enters.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use linkspan_providers::AuthMode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::connecting::{Connected, Connecting, IntegrationKey};
use super::fields;
use crate::error::Failure;
use crate::extract::{Body, BrowserParams};
use crate::openapi::{Routes, routes};

pub(super) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; api_key, basic, tba, unauthenticated);
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
    params(IntegrationKey, BrowserParams),
    request_body = ApiKey,
    responses(Connected)
)]
async fn api_key(connecting: Connecting, body: Body) -> Result<HttpResponse, Failure> {
    let body: ApiKey = body.json().await?;
    let fields = fields([("apiKey", Some(body.api_key))]);
    connecting.with(AuthMode::ApiKey, fields).await
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
    params(IntegrationKey, BrowserParams),
    request_body = Basic,
    responses(Connected)
)]
async fn basic(connecting: Connecting, body: Body) -> Result<HttpResponse, Failure> {
    let body: Basic = body.json().await?;
    let fields = fields([
        ("username", Some(body.username)),
        ("password", Some(body.password)),
    ]);
    connecting.with(AuthMode::Basic, fields).await
}

#[utoipa::path(
    post,
    path = "/auth/unauthenticated/{unique_key}",
    operation_id = "connect_unauthenticated",
    tag = "Browser",
    summary = "Connect to an API that asks for no credentials",
    params(IntegrationKey, BrowserParams),
    responses(Connected)
)]
/// The body, which the published client sends empty or as `{}`, is not read.
async fn unauthenticated(connecting: Connecting) -> Result<HttpResponse, Failure> {
    connecting.with(AuthMode::None, BTreeMap::new()).await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Tba {
    token_id: String,
    token_secret: String,
    /// The client that the token was given to, if not the integration's.
    oauth_client_id_override: Option<String>,
    /// That client's secret.
    oauth_client_secret_override: Option<String>,
}

#[utoipa::path(
    post,
    path = "/auth/tba/{unique_key}",
    operation_id = "connect_tba",
    tag = "Browser",
    summary = "Connect with a token that signs calls",
    params(IntegrationKey, BrowserParams),
    request_body = Tba,
    responses(Connected)
)]
async fn tba(connecting: Connecting, body: Body) -> Result<HttpResponse, Failure> {
    let body: Tba = body.json().await?;
    let fields = fields([
        ("token_id", Some(body.token_id)),
        ("token_secret", Some(body.token_secret)),
        ("oauth_client_id_override", body.oauth_client_id_override),
        (
            "oauth_client_secret_override",
            body.oauth_client_secret_override,
        ),
    ]);
    connecting.with(AuthMode::Tba, fields).await
}
