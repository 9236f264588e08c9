//! `/connect/telemetry` and `/cli/telemetry`: the published clients report here.
//! They are answered, and nothing of what they send is read or kept.

use actix_web::http::Method;
use actix_web::{HttpResponse, web};

use crate::meter;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    meter::serve(config, Method::POST, "/connect/telemetry", forget);
    meter::serve(config, Method::POST, "/cli/telemetry", forget);
}

async fn forget() -> HttpResponse {
    HttpResponse::NoContent().finish()
}
