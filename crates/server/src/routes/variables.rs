//! `/environment-variables` (CONTRACT 2.6).

use actix_web::{HttpResponse, web};
use linkspan_api::environments::Variable;

use crate::error::Failure;
use crate::extract::{Caller, permission};

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.route("/environment-variables", web::get().to(list));
}

/// Variables are for functions, and nothing sets one before there are any.
async fn list(_: Caller<permission::ReadVariables>) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Ok().json(Vec::<Variable>::new()))
}
