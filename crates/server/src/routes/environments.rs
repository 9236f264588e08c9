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

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/environments", web::post().to(create))
        .route("/environments/{number}", web::delete().to(delete))
        .route("/environment/api-keys", web::post().to(create_key))
        .route("/environment/api-keys", web::delete().to(delete_key))
        .route(
            "/environment/webhook-signing-key/rotate",
            web::post().to(rotate),
        );
}

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
