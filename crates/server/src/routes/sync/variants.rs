//! `/sync/{name}/variant/{variant}`.

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::integrations::Success;
use linkspan_api::syncs::{NewVariant, OfConnection};
use linkspan_api::{ErrorCode, FieldError};
use linkspan_syncs::{Name, is_name};

use super::failure;
use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, Query, permission};
use crate::openapi::{Routes, routes};

pub(super) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; create, delete);
}

/// The sync that the path names.
fn name(path: web::Path<(String, String)>) -> Result<Name, Failure> {
    let (name, variant) = path.into_inner();
    let wrong = |text: &str, field: &str| {
        (!is_name(text)).then(|| {
            let message = "must have 1 to 255 letters, digits, _ and -";
            FieldError::new("invalid_string", message, &[field])
        })
    };
    let fields = [wrong(&name, "name"), wrong(&variant, "variant")];
    let fields: Vec<_> = fields.into_iter().flatten().collect();
    match fields.is_empty() {
        true => Ok(Name { name, variant }),
        false => Err(Failure::fields(ErrorCode::InvalidUriParams, fields)),
    }
}

#[utoipa::path(
    post,
    path = "/sync/{name}/variant/{variant}",
    operation_id = "create_sync_variant",
    tag = "Syncs",
    summary = "Give a connection a variant of a sync",
    params(
        ("name" = String, Path, description = "The sync's name."),
        ("variant" = String, Path, description = "The variant's: letters, digits, `_` and `-`, and not `base`."),
    ),
    request_body = OfConnection,
    responses(
        (status = 200, description = "It is there, and runs as its function says.", body = NewVariant),
    )
)]
async fn create(
    caller: Caller<permission::CreateSyncVariant>,
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    Query::of(&request).end()?;
    let body: OfConnection = body.json().await?;
    let name = name(path)?;
    let of = (&*body.provider_config_key, &*body.connection_id);
    let id = linkspan_syncs::create_variant(&state.core, caller.environment_id(), of, &name)
        .await
        .map_err(failure)?;
    Ok(HttpResponse::Ok().json(NewVariant {
        id: id.to_string(),
        name: name.name,
        variant: name.variant,
    }))
}

#[utoipa::path(
    delete,
    path = "/sync/{name}/variant/{variant}",
    operation_id = "delete_sync_variant",
    tag = "Syncs",
    summary = "Delete a variant of a connection's sync, with its records",
    params(
        ("name" = String, Path, description = "The sync's name."),
        ("variant" = String, Path, description = "The variant's."),
    ),
    request_body = OfConnection,
    responses(
        (status = 200, description = "It is gone.", body = Success),
    )
)]
async fn delete(
    caller: Caller<permission::DeleteSyncVariant>,
    state: web::Data<State>,
    path: web::Path<(String, String)>,
    request: HttpRequest,
    body: Body,
) -> Result<HttpResponse, Failure> {
    Query::of(&request).end()?;
    let body: OfConnection = body.json().await?;
    let name = name(path)?;
    let of = (&*body.provider_config_key, &*body.connection_id);
    let (core, environment) = (&state.core, caller.environment_id());
    linkspan_syncs::delete_variant(core, &state.records, environment, of, &name)
        .await
        .map_err(failure)?;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}
