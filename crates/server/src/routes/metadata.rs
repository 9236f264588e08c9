//! `/connections/metadata`, and the same under its older names
//! (CONTRACT 2.6). `POST` replaces, `PATCH` merges at the top level.

use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::connections::{Object, WriteMetadata};
use linkspan_api::{ErrorCode, FieldError};
use linkspan_shared::connections::metadata::{self, Change};

use super::connections::unknown_connection;
use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, permission};
use crate::openapi::{Routes, routes};

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; write, write_one);
    routes!(routes; deprecated "/connection/metadata" write);
}

fn change(request: &HttpRequest) -> (Change, StatusCode) {
    match *request.method() {
        Method::PATCH => (Change::Merge, StatusCode::OK),
        _ => (Change::Replace, StatusCode::CREATED),
    }
}

#[utoipa::path(
    method(post, patch),
    path = "/connections/metadata",
    operation_id = "write_metadata",
    tag = "Connections",
    summary = "Replace metadata (POST), or merge into it (PATCH)",
    request_body = WriteMetadata,
    responses(
        (status = 200, description = "What was written, by PATCH.", body = WriteMetadata),
        (status = 201, description = "What was written, by POST.", body = WriteMetadata),
    )
)]
async fn write(
    caller: Caller<permission::UpdateConnection>,
    state: web::Data<State>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: WriteMetadata = body.json().await?;
    let (change, status) = change(&request);
    metadata::write(
        &state.core,
        caller.environment_id(),
        &body.provider_config_key,
        body.connection_id.as_slice(),
        &body.metadata,
        change,
    )
    .await
    .map_err(unknown_connection)?;
    Ok(HttpResponse::build(status).json(body))
}

#[utoipa::path(
    method(post, patch),
    path = "/connection/{connection_id}/metadata",
    operation_id = "write_one_metadata_deprecated",
    tag = "Connections",
    summary = "Replace (POST) or merge into (PATCH) the metadata of one connection",
    params(
        ("connection_id" = String, Path, description = "The connection's id."),
        ("Provider-Config-Key" = String, Header, description = "The integration's key."),
    ),
    request_body = Object,
    responses(
        (status = 200, description = "What was written, by PATCH.", body = Object),
        (status = 201, description = "What was written, by POST.", body = Object),
    )
)]
/// The oldest form: the connection in the path, its integration in a header,
/// and the metadata as the whole body.
async fn write_one(
    caller: Caller<permission::UpdateConnection>,
    state: web::Data<State>,
    connection_id: web::Path<String>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let unique_key = request
        .headers()
        .get("provider-config-key")
        .and_then(|value| value.to_str().ok())
        .filter(|value| !value.is_empty())
        .ok_or_else(|| {
            let field = FieldError::new("invalid_type", "Required", &["provider-config-key"]);
            Failure::fields(ErrorCode::InvalidHeaders, vec![field])
        })?;
    let body: Object = body.json().await?;
    let (change, status) = change(&request);
    let ids = [connection_id.into_inner()];
    metadata::write(
        &state.core,
        caller.environment_id(),
        unique_key,
        &ids,
        &body,
        change,
    )
    .await
    .map_err(unknown_connection)?;
    Ok(HttpResponse::build(status).json(body))
}
