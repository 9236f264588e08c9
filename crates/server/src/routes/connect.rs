//! `/connect/sessions`, `/connect/session` (CONTRACT 2.4), and the page that
//! `connect_link` leads to.

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use chrono::{DateTime, Utc};
use linkspan_api::connect::{
    ConnectSession, ConnectSessionView, CreateConnectSession, ReconnectSession,
};
use linkspan_api::integrations::Data;
use linkspan_shared::connect_sessions;
use secrecy::{ExposeSecret, SecretString};

use crate::app::State;
use crate::error::Failure;
use crate::extract::{Body, Caller, Session, permission};
use crate::openapi::{Routes, routes};
use crate::{meter, pages};

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; create, reconnect, view, delete);
    meter::serve(routes.config, Method::GET, "/connect", page);
    meter::serve(routes.config, Method::GET, "/connect/page.js", script);
}

#[utoipa::path(
    post,
    path = "/connect/sessions",
    operation_id = "create_connect_session",
    tag = "Connect",
    summary = "Open a connect session",
    request_body = CreateConnectSession,
    responses(
        (status = 201, description = "The session.", body = Data<ConnectSession>),
    )
)]
async fn create(
    caller: Caller<permission::WriteConnectSessions>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: CreateConnectSession = body.json().await?;
    let opened = connect_sessions::open(&state.core, caller.environment_id(), body).await?;
    Ok(answer(&state, opened))
}

#[utoipa::path(
    post,
    path = "/connect/sessions/reconnect",
    operation_id = "create_reconnect_session",
    tag = "Connect",
    summary = "Open a session that gives a connection new credentials",
    request_body = ReconnectSession,
    responses(
        (status = 201, description = "The session.", body = Data<ConnectSession>),
    )
)]
async fn reconnect(
    caller: Caller<permission::WriteConnectSessions>,
    state: web::Data<State>,
    body: Body,
) -> Result<HttpResponse, Failure> {
    let body: ReconnectSession = body.json().await?;
    let opened = connect_sessions::reopen(&state.core, caller.environment_id(), body).await?;
    Ok(answer(&state, opened))
}

fn answer(state: &State, (token, expires_at): (SecretString, DateTime<Utc>)) -> HttpResponse {
    let token = token.expose_secret().to_owned();
    let data = ConnectSession {
        connect_link: format!("{}/connect#session_token={token}", state.public_url()),
        token,
        expires_at,
    };
    HttpResponse::Created().json(Data { data })
}

#[utoipa::path(
    get,
    path = "/connect/session",
    operation_id = "get_connect_session",
    tag = "Browser",
    summary = "Show the session",
    responses(
        (status = 200, description = "The session.", body = Data<ConnectSessionView>),
    )
)]
async fn view(Session(session): Session, state: web::Data<State>) -> Result<HttpResponse, Failure> {
    let defaults = connect_sessions::shown_defaults(&state.core, &session).await?;
    Ok(HttpResponse::Ok().json(Data {
        data: ConnectSessionView {
            allowed_integrations: session.allowed_integrations,
            integrations_config_defaults: defaults,
            overrides: session.details.overrides,
            end_user: session.details.end_user,
            is_reconnecting: session.details.reconnect.is_some(),
            websockets_path: state.websockets_path.clone(),
        },
    }))
}

#[utoipa::path(
    delete,
    path = "/connect/session",
    operation_id = "delete_connect_session",
    tag = "Browser",
    summary = "End the session",
    responses(
        (status = 204, description = "It is ended."),
    )
)]
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
