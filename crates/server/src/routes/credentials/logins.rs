//! Credentials that buy a token: the fields are those of the mode.

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::popup::AuthResult;
use linkspan_providers::AuthMode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{connect, fields, of_mode};
use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Browser, BrowserParams};
use crate::openapi::{Routes, routes};

pub(super) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; client_credentials, bill, signature, aws_sigv4);
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClientCredentials {
    client_id: Option<String>,
    client_secret: Option<String>,
    /// In place of the secret: the certificate that the client presents (PEM).
    client_certificate: Option<String>,
    /// In place of the secret: the certificate's key, or the one that signs
    /// assertions (PEM or a JSON Web Key).
    client_private_key: Option<String>,
}

#[utoipa::path(
    post,
    path = "/oauth2/auth/{unique_key}",
    operation_id = "connect_client_credentials",
    tag = "Browser",
    summary = "Connect with an OAuth client of one's own",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        BrowserParams,
    ),
    request_body = ClientCredentials,
    responses(
        (status = 200, description = "The connection.", body = AuthResult),
    )
)]
async fn client_credentials(
    browser: Browser,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: ClientCredentials = body.json().await?;
    let fields = fields([
        ("client_id", body.client_id),
        ("client_secret", body.client_secret),
        ("client_certificate", body.client_certificate),
        ("client_private_key", body.client_private_key),
    ]);
    connect(
        browser,
        &state,
        &unique_key,
        &request,
        AuthMode::OAuth2Cc,
        fields,
    )
    .await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Bill {
    username: String,
    password: String,
    organization_id: String,
    dev_key: String,
}

#[utoipa::path(
    post,
    path = "/auth/bill/{unique_key}",
    operation_id = "connect_bill",
    tag = "Browser",
    summary = "Connect with a login for a session",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        BrowserParams,
    ),
    request_body = Bill,
    responses(
        (status = 200, description = "The connection.", body = AuthResult),
    )
)]
async fn bill(
    browser: Browser,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: Bill = body.json().await?;
    let fields = fields([
        ("username", Some(body.username)),
        ("password", Some(body.password)),
        ("organization_id", Some(body.organization_id)),
        ("dev_key", Some(body.dev_key)),
    ]);
    connect(
        browser,
        &state,
        &unique_key,
        &request,
        AuthMode::Bill,
        fields,
    )
    .await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Signature {
    /// The mode's name, which the published client sends.
    #[serde(rename = "type")]
    kind: Option<String>,
    username: String,
    password: String,
}

#[utoipa::path(
    post,
    path = "/auth/signature/{unique_key}",
    operation_id = "connect_signature",
    tag = "Browser",
    summary = "Connect with a password that signs tokens",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        BrowserParams,
    ),
    request_body = Signature,
    responses(
        (status = 200, description = "The connection.", body = AuthResult),
    )
)]
async fn signature(
    browser: Browser,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: Signature = body.json().await?;
    of_mode(body.kind.as_deref(), AuthMode::Signature)?;
    let fields = fields([
        ("username", Some(body.username)),
        ("password", Some(body.password)),
    ]);
    connect(
        browser,
        &state,
        &unique_key,
        &request,
        AuthMode::Signature,
        fields,
    )
    .await
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AwsSigV4 {
    role_arn: String,
    region: Option<String>,
}

#[utoipa::path(
    post,
    path = "/auth/aws-sigv4/{unique_key}",
    operation_id = "connect_aws_sigv4",
    tag = "Browser",
    summary = "Connect with a role of an AWS account",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        BrowserParams,
    ),
    request_body = AwsSigV4,
    responses(
        (status = 200, description = "The connection.", body = AuthResult),
    )
)]
async fn aws_sigv4(
    browser: Browser,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: AwsSigV4 = body.json().await?;
    let fields = fields([("role_arn", Some(body.role_arn)), ("region", body.region)]);
    connect(
        browser,
        &state,
        &unique_key,
        &request,
        AuthMode::AwsSigV4,
        fields,
    )
    .await
}
