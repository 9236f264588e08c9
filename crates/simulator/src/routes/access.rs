//! Who may call the two APIs, said by the types of their handlers.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header::AUTHORIZATION;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use serde_json::json;
use subtle::ConstantTimeEq as _;

use crate::answers::Refused;
use crate::grants::AccessError;
use crate::state::State;

/// A caller with a good access token.
pub(crate) struct TokenHolder {
    scope: String,
}

/// A caller with the API key.
pub(crate) struct KeyHolder;

impl FromRequest for TokenHolder {
    type Error = Refused;
    type Future = Ready<Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(token_holder(request))
    }
}

impl FromRequest for KeyHolder {
    type Error = Refused;
    type Future = Ready<Result<Self, Refused>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(key_holder(request))
    }
}

fn token_holder(request: &HttpRequest) -> Result<TokenHolder, Refused> {
    let state = state(request)?;
    let token = bearer(request)?;
    let now = state.now();
    match state.grants().check(token, now) {
        Ok(scope) => Ok(TokenHolder {
            scope: scope.to_owned(),
        }),
        Err(error @ AccessError::Unknown) => Err(Refused::bearer(error)),
        // Tokens end; callers learn it here.
        Err(error) => Err(Refused::bearer(error).unrecorded()),
    }
}

fn key_holder(request: &HttpRequest) -> Result<KeyHolder, Refused> {
    let state = state(request)?;
    let key = bearer(request)?;
    if state
        .settings
        .api_key
        .as_bytes()
        .ct_eq(key.as_bytes())
        .into()
    {
        return Ok(KeyHolder);
    }
    // A person typed it, so the caller is not to blame.
    Err(Refused::bearer("the API key is wrong").unrecorded())
}

fn state(request: &HttpRequest) -> Result<&State, Refused> {
    let state = request.app_data::<web::Data<State>>();
    // Unreachable: the application is built with its state.
    state
        .map(|data| data.get_ref())
        .ok_or_else(|| Refused::bearer("the provider has no state"))
}

/// The token of the one `authorization: Bearer …` header (RFC 6750 section 2.1).
fn bearer(request: &HttpRequest) -> Result<&str, Refused> {
    let mut headers = request.headers().get_all(AUTHORIZATION);
    let value = match (headers.next(), headers.next()) {
        (Some(value), None) => value,
        (None, _) => return Err(Refused::bearer("the authorization header is missing")),
        (_, Some(_)) => return Err(Refused::bearer("the authorization header is repeated")),
    };
    let words = value.to_str().ok().and_then(|text| text.split_once(' '));
    match words {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token),
        _ => Err(Refused::bearer(
            "the authorization header is not Bearer and a token",
        )),
    }
}

/// `GET /api/me`: the account and what the token opens.
pub(crate) async fn me(state: web::Data<State>, holder: TokenHolder) -> HttpResponse {
    let login = &state.settings.user.login;
    HttpResponse::Ok().json(json!({ "id": "1", "login": login, "scope": holder.scope }))
}

/// `GET /key-api/me`: the account.
pub(crate) async fn key_me(state: web::Data<State>, _: KeyHolder) -> HttpResponse {
    HttpResponse::Ok().json(json!({ "id": "1", "login": state.settings.user.login }))
}
