//! `/connect/telemetry` and `/cli/telemetry`: the published clients report here.
//! They are answered, and nothing of what they send is read or kept.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};

use crate::meter;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    for path in ["/connect/telemetry", "/cli/telemetry"] {
        meter::serve(config, Method::POST, path, forget);
    }
}

async fn forget() -> HttpResponse {
    HttpResponse::NoContent().finish()
}
