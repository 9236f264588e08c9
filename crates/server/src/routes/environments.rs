//! `/environments` and `/environment/…` (CONTRACT 2.6). A key with a scope over
//! its account reaches the account's other environments, and those only.

use actix_web::{HttpResponse, web};
use linkspan_api::environments::{
    CreateApiKey, CreateEnvironment, DeleteApiKey, Environment, NewApiKey, SigningKey,
};
use linkspan_api::integrations::{Data, Success};
use linkspan_api::{ErrorCode, FieldError, Scopes};
use linkspan_shared::tenancy::{api_keys, environments, signing_keys};
use secrecy::ExposeSecret;

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, permission};
use crate::openapi::{Routes, routes};

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; create, delete, create_key, delete_key, rotate);
}

#[utoipa::path(
    post,
    path = "/environments",
    operation_id = "create_environment",
    tag = "Environments",
    summary = "Create an environment",
    request_body = CreateEnvironment,
    responses(
        (status = 200, description = "The new environment.", body = Data<Environment>),
        (status = 409, description = "The name is taken.", body = linkspan_api::ErrorBody),
    )
)]
async fn create(
    caller: Caller<permission::CreateEnvironment>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: CreateEnvironment = body.json().await?;
    let account = caller.environment.account_id;
    let created = environments::create(&state.core, account, &body).await?;
    Ok(HttpResponse::Ok().json(Data {
        data: Environment {
            id: created.number,
            name: created.name,
        },
    }))
}

#[utoipa::path(
    delete,
    path = "/environments/{number}",
    operation_id = "delete_environment",
    tag = "Environments",
    summary = "Delete an environment with all that it has",
    params(
        ("number" = i64, Path, description = "The environment's number.", minimum = 1),
    ),
    responses(
        (status = 204, description = "It is deleted."),
    )
)]
async fn delete(
    caller: Caller<permission::DeleteEnvironment>,
    state: web::Data<State>,
    number: web::Path<String>,
) -> Result<HttpResponse, Failure> {
    let number = number
        .parse()
        .ok()
        .filter(|&number: &i64| number > 0)
        .ok_or_else(|| {
            let field = FieldError::new(
                "invalid_type",
                "must be a number from 1",
                &["environmentId"],
            );
            Failure::fields(ErrorCode::InvalidUriParams, vec![field])
        })?;
    environments::delete(&state.core, caller.environment.account_id, number).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[utoipa::path(
    post,
    path = "/environment/api-keys",
    operation_id = "create_api_key",
    tag = "Environments",
    summary = "Make an API key",
    request_body = CreateApiKey,
    responses(
        (status = 200, description = "The key, shown this once.", body = Data<NewApiKey>),
        (status = 404, description = "There is no such environment.", body = linkspan_api::ErrorBody),
        (status = 409, description = "The name is taken.", body = linkspan_api::ErrorBody),
    )
)]
async fn create_key(
    caller: Caller<permission::CreateApiKey>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: CreateApiKey = body.json().await?;
    // Whoever may make keys can give out everything inside of an environment,
    // but over the account no more than their own key has.
    let grantable = Scopes::environment().union(caller.scopes);
    let account = caller.environment.account_id;
    let key = api_keys::issue(&state.core, account, grantable, body).await?;
    Ok(HttpResponse::Ok().json(Data {
        data: NewApiKey {
            id: key.number,
            display_name: key.name,
            scopes: key.scopes.names(),
            secret: key.secret.expose_secret().to_owned(),
            created_at: key.created_at,
        },
    }))
}

#[utoipa::path(
    delete,
    path = "/environment/api-keys",
    operation_id = "delete_api_key",
    tag = "Environments",
    summary = "Revoke an API key",
    request_body = DeleteApiKey,
    responses(
        (status = 200, description = "It is revoked.", body = Success),
        (status = 404, description = "There is no such key.", body = linkspan_api::ErrorBody),
    )
)]
async fn delete_key(
    caller: Caller<permission::DeleteApiKey>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: DeleteApiKey = body.json().await?;
    let account = caller.environment.account_id;
    api_keys::revoke(&state.core, account, body.environment_id, body.key_id).await?;
    Ok(HttpResponse::Ok().json(Success { success: true }))
}

#[utoipa::path(
    post,
    path = "/environment/webhook-signing-key/rotate",
    operation_id = "rotate_webhook_signing_key",
    tag = "Environments",
    summary = "Replace the key that webhooks to you are signed with",
    responses(
        (status = 200, description = "The new key.", body = Data<SigningKey>),
    )
)]
async fn rotate(
    caller: Caller<permission::RotateSigningKey>,
    state: web::Data<State>,
) -> Result<HttpResponse, Failure> {
    let key = signing_keys::rotate(&state.core, caller.environment_id()).await?;
    Ok(HttpResponse::Ok().json(Data {
        data: SigningKey {
            webhook_signing_key: key.expose_secret().to_owned(),
        },
    }))
}
