//! The two forms that a person fills: `POST /oauth/login`, `POST /oauth/consent`.

use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::Body;
use super::authorize::error_location;
use super::token::form;
use crate::answers::Refused;
use crate::faults::Fault;
use crate::pages;
use crate::settings::User;
use crate::state::State;
use crate::tickets::{Authorization, Step};

/// Signs the person in and shows the consent form.
pub(crate) async fn login(
    state: web::Data<State>,
    request: HttpRequest,
    body: web::ReqData<Body>,
) -> Result<HttpResponse, Refused> {
    let params = form(&request, &body).map_err(Refused::page)?;
    params
        .only(&["ticket", "login", "password"])
        .map_err(Refused::page)?;
    let ticket = params.once("ticket").map_err(Refused::page)?;
    // What a person leaves empty is a wrong password, not a broken form.
    let login = params.at_most_once("login").map_err(Refused::page)?;
    let password = params.at_most_once("password").map_err(Refused::page)?;

    let authorization = close(&state, ticket, Step::Login)?;
    let user = &state.settings.user;
    if !knows(
        user,
        login.unwrap_or_default(),
        password.unwrap_or_default(),
    ) {
        let now = state.now();
        let ticket = state.tickets().open(Step::Login, authorization, now);
        let page = pages::login(user, &ticket, true);
        return Ok(pages::respond(HttpResponse::UnprocessableEntity(), page));
    }
    let scope = authorization.scope.clone();
    let now = state.now();
    let ticket = state.tickets().open(Step::Consent, authorization, now);
    let page = pages::consent(&state.settings, &ticket, &scope);
    Ok(pages::respond(HttpResponse::Ok(), page))
}

/// Takes the decision and sends the browser back to the client with a code,
/// or with `access_denied`.
pub(crate) async fn decide(
    state: web::Data<State>,
    request: HttpRequest,
    body: web::ReqData<Body>,
) -> Result<HttpResponse, Refused> {
    let params = form(&request, &body).map_err(Refused::page)?;
    let values = params.exactly(["ticket", "decision"]);
    let [ticket, decision] = values.map_err(Refused::page)?;
    let allowed = match decision {
        "allow" => true,
        "deny" => false,
        _ => return Err(Refused::page("decision is neither allow nor deny")),
    };
    let authorization = close(&state, ticket, Step::Consent)?;
    let overruled = state.take_fault(|fault| *fault == Fault::RefuseConsent);
    let location = if allowed && overruled.is_none() {
        let now = state.now();
        let code = state.change_grants(|grants| grants.code(&authorization, now));
        code_location(authorization, &code)
    } else {
        let reason = "The person denied the request.";
        let (target, sent) = (authorization.target, authorization.state);
        error_location(target, "access_denied", reason, Some(&sent))
    };
    // 303, so that no browser posts the form to the client (RFC 9700 section 4.12).
    Ok(HttpResponse::SeeOther()
        .insert_header((LOCATION, location.as_str()))
        .insert_header((CACHE_CONTROL, "no-store"))
        .finish())
}

fn close(state: &State, ticket: &str, step: Step) -> Result<Authorization, Refused> {
    let now = state.now();
    let closed = state.tickets().close(ticket, step, now);
    // The back button and a long lunch lead here too.
    closed.ok_or_else(|| Refused::page("This form has expired or was already sent.").unrecorded())
}

fn knows(user: &User, login: &str, password: &str) -> bool {
    let name = user.login.as_bytes().ct_eq(login.as_bytes());
    let secret = user.password.as_bytes().ct_eq(password.as_bytes());
    (name & secret).into()
}

fn code_location(authorization: Authorization, code: &str) -> Url {
    let mut target = authorization.target;
    target
        .query_pairs_mut()
        .append_pair("code", code)
        .append_pair("state", &authorization.state);
    target
}
