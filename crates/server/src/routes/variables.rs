//! `/environment-variables` (CONTRACT 2.6).

use actix_web::HttpResponse;
use linkspan_api::environments::Variable;

use crate::error::Failure;
use crate::extract::{Caller, permission};
use crate::openapi::{Routes, routes};

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; list);
}

#[utoipa::path(
    get,
    path = "/environment-variables",
    operation_id = "list_variables",
    tag = "Environments",
    summary = "List the environment's variables",
    responses(
        (status = 200, description = "The variables.", body = Vec<Variable>),
    )
)]
/// Variables are for functions, and nothing sets one before there are any.
async fn list(_: Caller<permission::ReadVariables>) -> Result<HttpResponse, Failure> {
    Ok(HttpResponse::Ok().json(Vec::<Variable>::new()))
}
