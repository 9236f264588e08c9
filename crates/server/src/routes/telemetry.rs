//! `/connect/telemetry` and `/cli/telemetry`: the published clients report here.
//! They are answered, and nothing of what they send is read or kept.

use actix_web::{HttpResponse, web};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/connect/telemetry", web::post().to(forget))
        .route("/cli/telemetry", web::post().to(forget));
}

async fn forget() -> HttpResponse {
    HttpResponse::NoContent().finish()
}
