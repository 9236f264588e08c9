//! Whether the server runs, and whether it can serve.

use actix_web::{HttpResponse, web};
use serde_json::json;

use crate::app::State;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/health", web::get().to(health))
        .route("/ready", web::get().to(ready));
}

/// The process runs.
async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "result": "ok" }))
}

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
