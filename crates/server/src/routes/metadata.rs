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

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/connections/metadata", web::post().to(write))
        .route("/connections/metadata", web::patch().to(write))
        .route("/connection/metadata", web::post().to(write))
        .route("/connection/metadata", web::patch().to(write))
        .route(
            "/connection/{connection_id}/metadata",
            web::post().to(write_one),
        )
        .route(
            "/connection/{connection_id}/metadata",
            web::patch().to(write_one),
        );
}

fn change(request: &HttpRequest) -> (Change, StatusCode) {
    match *request.method() {
        Method::PATCH => (Change::Merge, StatusCode::OK),
        _ => (Change::Replace, StatusCode::CREATED),
    }
}

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
