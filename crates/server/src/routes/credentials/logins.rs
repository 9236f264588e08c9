//! Credentials that buy a token: the fields are those of the mode.

use actix_web::HttpResponse;
use linkspan_providers::AuthMode;
use serde::Deserialize;
use utoipa::ToSchema;

use super::connecting::{Connected, Connecting, IntegrationKey};
use super::{fields, of_mode};
use crate::error::Failure;
use crate::extract::{Body, BrowserParams};
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
    params(IntegrationKey, BrowserParams),
    request_body = ClientCredentials,
    responses(Connected)
)]
async fn client_credentials(connecting: Connecting, body: Body) -> Result<HttpResponse, Failure> {
    let body: ClientCredentials = body.json().await?;
    let fields = fields([
        ("client_id", body.client_id),
        ("client_secret", body.client_secret),
        ("client_certificate", body.client_certificate),
        ("client_private_key", body.client_private_key),
    ]);
    connecting.with(AuthMode::OAuth2Cc, fields).await
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
    params(IntegrationKey, BrowserParams),
    request_body = Bill,
    responses(Connected)
)]
async fn bill(connecting: Connecting, body: Body) -> Result<HttpResponse, Failure> {
    let body: Bill = body.json().await?;
    let fields = fields([
        ("username", Some(body.username)),
        ("password", Some(body.password)),
        ("organization_id", Some(body.organization_id)),
        ("dev_key", Some(body.dev_key)),
    ]);
    connecting.with(AuthMode::Bill, fields).await
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
    params(IntegrationKey, BrowserParams),
    request_body = Signature,
    responses(Connected)
)]
async fn signature(connecting: Connecting, body: Body) -> Result<HttpResponse, Failure> {
    let body: Signature = body.json().await?;
    of_mode(body.kind.as_deref(), AuthMode::Signature)?;
    let fields = fields([
        ("username", Some(body.username)),
        ("password", Some(body.password)),
    ]);
    connecting.with(AuthMode::Signature, fields).await
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
    params(IntegrationKey, BrowserParams),
    request_body = AwsSigV4,
    responses(Connected)
)]
async fn aws_sigv4(connecting: Connecting, body: Body) -> Result<HttpResponse, Failure> {
    let body: AwsSigV4 = body.json().await?;
    let fields = fields([("role_arn", Some(body.role_arn)), ("region", body.region)]);
    connecting.with(AuthMode::AwsSigV4, fields).await
}
