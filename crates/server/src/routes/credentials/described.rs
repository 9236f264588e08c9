//! Credentials whose fields the provider's template describes, and connections
//! that a webhook completes.

use std::collections::BTreeMap;

use actix_web::HttpResponse;
use linkspan_api::connections::Object;
use linkspan_api::popup::AuthResult;
use linkspan_auth::Entered;
use linkspan_providers::AuthMode;
use serde_json::Value;

use super::connecting::{Connected, Connecting, IntegrationKey};
use super::{of_mode, refused};
use crate::error::Failure;
use crate::extract::{Body, BrowserParams};
use crate::openapi::{Routes, routes};

/// Where a body holds what is used once and not stored.
const OPTIONS: &str = "assertionOption";

pub(super) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; two_step, jwt, outbound);
}

#[utoipa::path(
    post,
    path = "/auth/two-step/{unique_key}",
    operation_id = "connect_two_step",
    tag = "Browser",
    summary = "Connect with the provider's own login",
    params(IntegrationKey, BrowserParams),
    request_body = Object,
    responses(Connected)
)]
async fn two_step(connecting: Connecting, body: Body) -> Result<HttpResponse, Failure> {
    let mut body: Object = body.json().await?;
    take_type(&mut body, AuthMode::TwoStep)?;
    let entered = entered(body)?;
    connecting.with(AuthMode::TwoStep, entered).await
}

#[utoipa::path(
    post,
    path = "/auth/jwt/{unique_key}",
    operation_id = "connect_jwt",
    tag = "Browser",
    summary = "Connect with a key that signs tokens",
    params(IntegrationKey, BrowserParams),
    request_body = Object,
    responses(Connected)
)]
async fn jwt(connecting: Connecting, body: Body) -> Result<HttpResponse, Failure> {
    let mut body: Object = body.json().await?;
    take_type(&mut body, AuthMode::Jwt)?;
    linkspan_auth::join_key(&mut body);
    let entered = Entered::from(texts(body, None)?);
    connecting.with(AuthMode::Jwt, entered).await
}

#[utoipa::path(
    post,
    path = "/auth/oauth-outbound/{unique_key}",
    operation_id = "connect_outbound",
    tag = "Browser",
    summary = "Prepare a connection that the provider's webhook completes",
    params(IntegrationKey, BrowserParams),
    responses(
        (status = 200, description = "The connection, which is pending.", body = AuthResult),
    )
)]
/// The body, which the published client sends empty or as `{}`, is not read.
async fn outbound(connecting: Connecting) -> Result<HttpResponse, Failure> {
    let nothing = Entered::default();
    connecting.with(AuthMode::OAuth2, nothing).await
}

fn entered(mut body: Object) -> Result<Entered, Failure> {
    let options = match body.remove(OPTIONS) {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::Object(options)) => texts(options, Some(OPTIONS))?,
        Some(_) => return Err(refused(&[OPTIONS], "must be an object")),
    };
    let fields = texts(body, None)?;
    Ok(Entered { fields, options })
}

/// The published client sends the mode's name among the fields.
fn take_type(body: &mut Object, mode: AuthMode) -> Result<(), Failure> {
    match body.remove("type") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::String(name)) => of_mode(Some(&name), mode),
        Some(_) => Err(refused(&["type"], "must be a string")),
    }
}

/// What people type is text; a number or a switch of a page's own form is taken
/// as its text.
fn texts(object: Object, under: Option<&str>) -> Result<BTreeMap<String, String>, Failure> {
    let mut texts = BTreeMap::new();
    for (name, value) in object {
        let text = match value {
            Value::Null => continue,
            Value::String(text) => text,
            Value::Number(number) => number.to_string(),
            Value::Bool(flag) => flag.to_string(),
            Value::Array(_) | Value::Object(_) => {
                let path: Vec<&str> = under.into_iter().chain([name.as_str()]).collect();
                return Err(refused(&path, "must be a string"));
            }
        };
        texts.insert(name, text);
    }
    Ok(texts)
}
