//! `/connect/sessions`, `/connect/session` (CONTRACT 2.4), and the page that
//! `connect_link` leads to.

use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::connect::{ConnectSession, ConnectSessionView, CreateConnectSession};
use linkspan_api::integrations::Data;
use linkspan_shared::connect_sessions;
use secrecy::ExposeSecret;

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, Session, permission};
use crate::pages;

pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config
        .route("/connect/sessions", web::post().to(create))
        .route("/connect/session", web::get().to(view))
        .route("/connect/session", web::delete().to(delete))
        .route("/connect", web::get().to(page))
        .route("/connect/page.js", web::get().to(script));
}

async fn create(
    caller: Caller<permission::WriteConnectSessions>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: CreateConnectSession = body.json().await?;
    let core = &state.core;
    let (token, expires_at) =
        connect_sessions::open(core, caller.environment_id(), body).await?;
    let data = ConnectSession {
        connect_link: format!("{}/connect#session_token={}", state.public_url(), token.expose_secret()),
        token: token.expose_secret().to_owned(),
        expires_at,
    };
    Ok(HttpResponse::Created().json(Data { data }))
}

async fn view(Session(session): Session, state: web::Data<State>) -> HttpResponse {
    let mut defaults = session.details.defaults;
    for default in defaults.values_mut() {
        default.connection_config.remove("oauth_client_secret_override");
    }
    HttpResponse::Ok().json(Data {
        data: ConnectSessionView {
            allowed_integrations: session.allowed_integrations,
            integrations_config_defaults: defaults,
            end_user: session.details.end_user,
            is_reconnecting: false,
            websockets_path: state.websockets_path.clone(),
        },
    })
}

async fn delete(
    Session(session): Session,
    state: web::Data<State>,
) -> Result<HttpResponse, Failure> {
    let mut conn = state.core.db.conn().await?;
    connect_sessions::delete(&mut conn, session.environment_id, session.id).await?;
    Ok(HttpResponse::NoContent().finish())
}

async fn page(_: HttpRequest) -> HttpResponse {
    pages::connect()
}

async fn script() -> HttpResponse {
    pages::connect_script()
}
