//! The endpoints, and the observer that all requests pass.

mod access;
mod authorize;
mod consent;
mod echo;
mod items;
mod token;

use actix_web::body::BoxBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage as _, HttpResponse, ResponseError as _, web};
use bytes::Bytes;

use crate::answers::{RefusalReason, Refused};
use crate::faults::Fault;
use crate::journal::{Refusal, SeenRequest};
use crate::pages;
use crate::params::Params;
use crate::state::State;

/// Bodies up to here are read and kept whole.
pub(crate) const MOST_BODY_BYTES: usize = 32 << 20;

/// The body that [`observe`] has read, for handlers (by `web::ReqData`).
#[derive(Clone)]
pub(crate) struct Body(pub(crate) Bytes);

/// Registers every endpoint. Whatever else is asked for is refused.
pub(crate) fn configure(app: &mut web::ServiceConfig) {
    let resource = |path: &str| web::resource(path).default_service(web::to(wrong_method));
    app.service(resource("/").get(front))
        // Browsers ask for it unbidden.
        .service(resource("/favicon.ico").get(no_content))
        .service(resource("/oauth/authorize").get(authorize::authorize))
        .service(resource("/oauth/login").post(consent::login))
        .service(resource("/oauth/consent").post(consent::decide))
        .service(resource("/oauth/token").post(token::token))
        .service(resource("/oauth/token/{by}").post(token::token))
        .service(resource("/api/me").get(access::me))
        .service(resource("/api/items").get(items::list).post(items::add))
        .service(resource("/api/items/{id}").get(items::one))
        .service(resource("/api/stream").get(echo::stream))
        .service(web::resource("/api/empty").to(echo::empty))
        .service(web::resource(["/api/echo", "/api/echo/{rest:.*}"]).to(echo::echo))
        .service(resource("/key-api/me").get(access::key_me))
        .service(web::resource(["/key-api/echo", "/key-api/echo/{rest:.*}"]).to(echo::key_echo))
        .default_service(web::to(no_such_endpoint));
}

/// Reads the body, notes the request, lets a queued [`Fault::Status`] answer
/// in place of the endpoint, and notes a refusal before the caller hears of it.
pub(crate) async fn observe(
    state: web::Data<State>,
    mut request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let body = match request.extract::<Bytes>().await {
        Ok(body) => body,
        Err(error) => {
            let refused = unread(&error);
            let response = request.into_response(refused.error_response());
            note_refusal(&state, &response);
            return Ok(response);
        }
    };
    note_request(&state, &request, body.clone());
    if let Some(response) = status_fault(&state, request.path()) {
        return Ok(request.into_response(response));
    }
    request.extensions_mut().insert(Body(body));
    let response = next.call(request).await?;
    note_refusal(&state, &response);
    Ok(response)
}

fn unread(error: &Error) -> Refused {
    let status = error.as_response_error().status_code();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        return Refused::json(status, "invalid_request", "the body is too large");
    }
    // The caller went away, which a test that kills it brings about.
    Refused::bad_request("the body was cut off").unrecorded()
}

fn note_request(state: &State, request: &ServiceRequest, body: Bytes) {
    let headers = request.headers().iter();
    let seen = SeenRequest {
        method: request.method().to_string(),
        path: request.path().to_owned(),
        query: Params::parse(request.query_string().as_bytes()).into_pairs(),
        raw_query: request.query_string().to_owned(),
        headers: headers
            .map(|(name, value)| {
                let value = String::from_utf8_lossy(value.as_bytes());
                (name.as_str().to_owned(), value.into_owned())
            })
            .collect(),
        body,
    };
    let wants_tokens = seen.method == "POST" && seen.path.starts_with("/oauth/token");
    state.record(|journal| {
        journal.saw(seen);
        journal.token_requests += usize::from(wants_tokens);
    });
}

fn note_refusal(state: &State, response: &ServiceResponse<BoxBody>) {
    let extensions = response.response().extensions();
    let Some(RefusalReason(reason)) = extensions.get::<RefusalReason>() else {
        return;
    };
    let refusal = Refusal {
        method: response.request().method().to_string(),
        path: response.request().path().to_owned(),
        reason: reason.clone(),
    };
    state.record(|journal| journal.refused(refusal));
}

fn status_fault(state: &State, asked: &str) -> Option<HttpResponse> {
    let fault =
        state.take_fault(|fault| matches!(fault, Fault::Status { path, .. } if path == asked))?;
    let Fault::Status {
        status,
        headers,
        body,
        ..
    } = fault
    else {
        return None;
    };
    let mut answer = HttpResponse::build(status_or_500(status));
    for header in headers {
        answer.append_header(header);
    }
    Some(answer.body(body))
}

/// The status of a fault.
pub(crate) fn status_or_500(status: u16) -> StatusCode {
    let known = StatusCode::from_u16(status).ok();
    known
        .filter(|status| status.as_u16() >= 200)
        .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn front(state: web::Data<State>) -> HttpResponse {
    pages::respond(HttpResponse::Ok(), pages::front(&state.settings))
}

async fn no_content() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

async fn wrong_method() -> Result<HttpResponse, Refused> {
    Err(Refused::json(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this endpoint does not answer this method",
    ))
}

async fn no_such_endpoint() -> Result<HttpResponse, Refused> {
    Err(Refused::json(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is no such endpoint",
    ))
}
