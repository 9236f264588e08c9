//! Whether the server runs, and whether it can serve.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::app::State;
use crate::openapi::{Routes, routes};

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; health, ready);
}

#[utoipa::path(
    get,
    path = "/health",
    operation_id = "get_health",
    tag = "Operations",
    summary = "Whether the process runs",
    responses(
        (status = 200, description = "It runs.", body = Object),
    )
)]
/// The process runs.
async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "result": "ok" }))
}

#[utoipa::path(
    get,
    path = "/ready",
    operation_id = "get_ready",
    tag = "Operations",
    summary = "Whether the process can serve",
    responses(
        (status = 200, description = "It can.", body = Object),
        (status = 503, description = "Its database does not answer.", body = Object),
    )
)]
/// The process can serve: its database answers.
async fn ready(state: web::Data<State>) -> HttpResponse {
    match state.core.db.ping().await {
        Ok(()) => HttpResponse::Ok().json(json!({ "result": "ok" })),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            HttpResponse::ServiceUnavailable().json(json!({ "result": "database unavailable" }))
        }
    }
}
