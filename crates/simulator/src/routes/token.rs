//! `POST /oauth/token` (RFC 6749 sections 4.1.3, 5 and 6; RFC 7636 section 4.5).

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpRequest, HttpResponse, web};
use subtle::{Choice, ConstantTimeEq as _};

use super::{Body, status_or_500};
use crate::answers::Refused;
use crate::faults::Fault;
use crate::grants::{GrantError, Tokens};
use crate::params::{ParamError, Params};
use crate::state::State;

/// Exchanges a code or a refresh token. A last segment `{by}` of the path says who
/// asks, for those who want to know.
pub(crate) async fn token(
    state: web::Data<State>,
    request: HttpRequest,
    body: web::ReqData<Body>,
) -> Result<HttpResponse, Refused> {
    let mut delay = Duration::ZERO;
    match state.take_fault(|f| matches!(f, Fault::SlowToken(_) | Fault::TokenError { .. })) {
        Some(Fault::TokenError { status, body }) => {
            return Ok(HttpResponse::build(status_or_500(status))
                .insert_header((CACHE_CONTROL, "no-store"))
                .content_type(match body.starts_with('<') {
                    true => "text/html",
                    false => "application/json",
                })
                .body(body));
        }
        Some(Fault::SlowToken(by)) => delay = by,
        _ => {}
    }
    let outcome = grant(&state, &request, &body);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Ok(HttpResponse::Ok()
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(outcome?))
}

/// The parameters of a form body; a query beside it is a mistake.
pub(crate) fn form(request: &HttpRequest, body: &Body) -> Result<Params, &'static str> {
    if !request.query_string().is_empty() {
        return Err("parameters belong in the body, not in the query");
    }
    let content_type = request.headers().get(CONTENT_TYPE);
    let content_type = content_type.and_then(|value| value.to_str().ok());
    let media_type = content_type.and_then(|value| value.split(';').next());
    let expected = "application/x-www-form-urlencoded";
    if !media_type.is_some_and(|given| given.trim().eq_ignore_ascii_case(expected)) {
        return Err("content-type is not application/x-www-form-urlencoded");
    }
    Ok(Params::parse(&body.0))
}

fn grant(state: &State, request: &HttpRequest, body: &Body) -> Result<Tokens, Refused> {
    if request.headers().contains_key(AUTHORIZATION) {
        return Err(Refused::bad_request(
            "the client authenticates in the body, not by a header",
        ));
    }
    let params = form(request, body).map_err(Refused::bad_request)?;
    match params.once("grant_type").map_err(Refused::bad_request)? {
        "authorization_code" => exchange(state, &params),
        "refresh_token" => {
            let by = request.match_info().get("by").unwrap_or_default();
            refresh(state, &params, by)
        }
        _ => Err(Refused::json(
            StatusCode::BAD_REQUEST,
            "unsupported_grant_type",
            "grant_type is neither authorization_code nor refresh_token",
        )),
    }
}

fn exchange(state: &State, params: &Params) -> Result<Tokens, Refused> {
    let [_, code, redirect_uri, id, secret, verifier] = params
        .exactly([
            "grant_type",
            "code",
            "redirect_uri",
            "client_id",
            "client_secret",
            "code_verifier",
        ])
        .map_err(|error: ParamError| Refused::bad_request(error))?;
    authenticate(state, id, secret)?;
    if !is_verifier(verifier) {
        return Err(Refused::bad_request(
            "code_verifier is not 43 to 128 unreserved characters",
        ));
    }
    let now = state.now();
    let outcome = state.change_grants(|grants| grants.exchange(code, redirect_uri, verifier, now));
    outcome.map_err(invalid_grant)
}

fn refresh(state: &State, params: &Params, by: &str) -> Result<Tokens, Refused> {
    let [_, token, id, secret] = params
        .exactly(["grant_type", "refresh_token", "client_id", "client_secret"])
        .map_err(|error: ParamError| Refused::bad_request(error))?;
    authenticate(state, id, secret)?;
    let now = state.now();
    let keeps = state.take_fault(|fault| *fault == Fault::KeepRefreshToken);
    let outcome = state.change_grants(|grants| match keeps {
        Some(_) => grants.refresh_and_keep(token, now),
        None => grants.refresh(token, by, now),
    });
    let tokens = outcome.map_err(invalid_grant)?;
    state.record(|journal| journal.refreshes += 1);
    Ok(tokens)
}

fn authenticate(state: &State, id: &str, secret: &str) -> Result<(), Refused> {
    let client = &state.settings.client;
    let known: Choice = client.client_id.as_bytes().ct_eq(id.as_bytes())
        & client.client_secret.as_bytes().ct_eq(secret.as_bytes());
    if known.into() {
        return Ok(());
    }
    Err(Refused::json(
        StatusCode::UNAUTHORIZED,
        "invalid_client",
        "client_id and client_secret do not match",
    ))
}

fn invalid_grant(error: GrantError) -> Refused {
    let refused = Refused::json(StatusCode::BAD_REQUEST, "invalid_grant", error);
    match error {
        // A test revoked it, and nobody can know before asking.
        GrantError::RevokedRefreshToken => refused.unrecorded(),
        _ => refused,
    }
}

/// RFC 7636 section 4.1.
fn is_verifier(text: &str) -> bool {
    let unreserved = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
    (43..=128).contains(&text.len()) && text.chars().all(unreserved)
}
