//! The popup's two stops here: off to the provider, and back (CONTRACT 2.1 to
//! 2.3). Whatever happens, the page that opened the popup is told once.

use actix_web::cookie::{Cookie, SameSite, time};
use actix_web::http::Method;
use actix_web::http::header::{LOCATION, REFERER};
use actix_web::{HttpRequest, HttpResponse, web};
use linkspan_api::ErrorCode;
use linkspan_api::popup::{PopupError, PopupMessage};
use linkspan_auth::quirks;
use linkspan_shared::connections::{begin, finish};
use linkspan_shared::oauth_flows::{self, Flow};
use linkspan_shared::{Error, integrations};
use secrecy::SecretString;
use url::Url;

use super::credentials::connection_config;
use crate::app::State;
use crate::error::Failure;
use crate::extract::{Browser, BrowserParams, Query};
use crate::meter;
use crate::openapi::{Routes, routes};
use crate::pages::{self, Outcome};

/// What `credentials[…]` may bring: a client in place of the integration's.
const OWN_CLIENT: [&str; 2] = ["oauth_client_id_override", "oauth_client_secret_override"];

pub(crate) fn configure(routes: &mut Routes<'_>) {
    routes!(routes; connect, callback, app_callback, client_metadata);
    meter::serve(routes.config, Method::GET, "/oauth/callback.js", script);
}

async fn script() -> HttpResponse {
    pages::callback_script()
}

#[utoipa::path(
    get,
    path = "/oauth/connect/{unique_key}",
    operation_id = "start_oauth",
    tag = "Browser",
    summary = "Send the popup to the provider",
    params(
        ("unique_key" = String, Path, description = "The integration's key."),
        BrowserParams,
        ("ws_client_id" = Option<String>, Query, description = "The id that the websocket told the page."),
        ("authorization_params" = Option<std::collections::BTreeMap<String, String>>, Query, description = "Further parameters of the provider's authorisation URL.", style = DeepObject, explode),
        ("credentials" = Option<std::collections::BTreeMap<String, String>>, Query, description = "A client in place of the integration's: `oauth_client_id_override`, `oauth_client_secret_override`.", style = DeepObject, explode),
        ("user_scope" = Option<String>, Query, description = "User scopes, for providers that have them."),
    ),
    responses(
        (status = 302, description = "To the provider."),
        (status = 400, description = "A page that says what is wrong; the websocket is told too.", body = String, content_type = "text/html"),
    )
)]
async fn connect(
    browser: Result<Browser, Failure>,
    state: web::Data<State>,
    unique_key: web::Path<String>,
    request: HttpRequest,
) -> HttpResponse {
    let mut query = Query::of(&request);
    let ws_client_id = query.take("ws_client_id");
    let channel = match bind(&state, ws_client_id, &unique_key).await {
        Ok(channel) => channel,
        Err(reason) => {
            return pages::callback(&Outcome::failure(PopupError::UnknownErr, &reason), None);
        }
    };
    match off(&state, browser, &unique_key, query, &channel).await {
        Ok(begun) => {
            let mut response = HttpResponse::Found();
            response
                .insert_header((LOCATION, begun.authorize_url.as_str()))
                .cookie(flow_cookie(&state, &begun.flow_id.to_string()));
            response.finish()
        }
        Err(failure) => {
            let kind = popup_error(&failure);
            channel.fail(&state, "", kind, &failure.told()).await
        }
    }
}

/// Makes a page's channel this flow's own, or says why it cannot be.
async fn bind(
    state: &State,
    ws_client_id: Option<String>,
    unique_key: &str,
) -> Result<Channel, String> {
    let mut channel = Channel {
        ws_client_id,
        origin: None,
        unique_key: unique_key.to_owned(),
    };
    if let Some(id) = &channel.ws_client_id {
        let bound = state.channels.bind(id).await;
        let bound = bound.map_err(|error| Failure::from(error).message().to_owned())?;
        let bound = bound.ok_or(
            "This window's result channel is unknown or was used before. \
             Close the window and start again.",
        )?;
        channel.origin = bound.origin;
    }
    Ok(channel)
}

async fn off(
    state: &State,
    browser: Result<Browser, Failure>,
    unique_key: &str,
    mut query: Query,
    channel: &Channel,
) -> Result<begin::Begun, Failure> {
    let Browser(session) = browser?;
    Browser::take(&mut query);
    let mut request = begin::Request {
        ws_client_id: channel.ws_client_id.clone(),
        origin: channel.origin.clone(),
        authorization_params: query.take_map("authorization_params").into_iter().collect(),
        connection_config: connection_config(&mut query),
    };
    let user_scope = query.take("user_scope");
    request
        .authorization_params
        .extend(user_scope.map(|scope| ("user_scope".to_owned(), scope)));
    for (name, value) in query.take_map("credentials") {
        if !OWN_CLIENT.contains(&name.as_str()) {
            let name = format!("credentials[{name}]");
            return Err(Failure::query(
                "unrecognized_keys",
                "unknown parameter",
                &name,
            ));
        }
        request.connection_config.insert(name, value.into());
    }
    query.end()?;
    Ok(begin::oauth(&state.core, &session, unique_key, request).await?)
}

/// Ties the callback to the browser that started, so that nobody can be made
/// to finish somebody else's flow.
fn flow_cookie(state: &State, flow_id: &str) -> Cookie<'static> {
    let is_https = state.core.settings.public_url.scheme() == "https";
    Cookie::build(cookie_name(flow_id), "1")
        .path("/oauth")
        .http_only(true)
        .secure(is_https)
        .same_site(SameSite::Lax)
        .max_age(time::Duration::hours(1))
        .finish()
}

fn cookie_name(flow_id: &str) -> String {
    format!("oauth2-{flow_id}")
}

/// What providers call the state when they give it back.
const STATE_PARAMS: [&str; 3] = ["state", "payload", "customField"];

/// A parameter that is there and not empty.
fn given(query: &mut Query, name: &str) -> Option<String> {
    query.take(name).filter(|value| !value.is_empty())
}

#[utoipa::path(
    get,
    path = "/oauth/client-metadata/{environment}/{unique_key}",
    operation_id = "get_client_metadata",
    tag = "Browser",
    summary = "Show a provider who this server is",
    description = "The client id metadata document of an integration whose provider registers \
                   nobody and reads this instead; its address is the client's id.",
    params(
        ("environment" = String, Path, description = "The environment's id."),
        ("unique_key" = String, Path, description = "The integration's key."),
    ),
    responses(
        (status = 200, description = "The document.", body = Object),
        (status = 404, description = "No integration here is known by a document.", body = linkspan_api::ErrorBody),
    )
)]
async fn client_metadata(
    state: web::Data<State>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Failure> {
    let (environment, unique_key) = path.into_inner();
    let environment = environment.parse().map_err(|_| Error::NoDocument)?;
    let document = integrations::document(&state.core, environment, &unique_key).await?;
    Ok(HttpResponse::Ok()
        .insert_header(("Cache-Control", "public, max-age=300"))
        .json(document))
}

#[utoipa::path(
    get,
    path = "/oauth/callback",
    operation_id = "finish_oauth",
    tag = "Browser",
    summary = "Take the provider's answer",
    params(
        ("state" = Option<String>, Query, description = "What the provider was sent."),
        ("code" = Option<String>, Query, description = "The code to exchange."),
        ("error" = Option<String>, Query, description = "Why the provider refused."),
    ),
    responses(
        (status = 200, description = "A page that tells the one that opened it.", body = String, content_type = "text/html"),
        (status = 400, description = "A page that says what is wrong, and tells it so.", body = String, content_type = "text/html"),
        (status = 302, description = "Back to where an installation began that no flow waits for."),
    )
)]
async fn callback(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let mut query = Query::of(&request);
    let Some(token) = STATE_PARAMS.iter().find_map(|name| given(&mut query, name)) else {
        return stateless(&request, query);
    };
    match take(&state, &SecretString::from(token)).await {
        Ok(Some(flow)) => back(&state, &request, query, flow).await,
        Ok(None) => lost("This authorisation was finished before, or took too long. Start again."),
        Err(failure) => {
            let outcome = Outcome::failure(PopupError::UnknownErr, failure.message());
            pages::callback(&outcome, None)
        }
    }
}

#[utoipa::path(
    get,
    path = "/app-auth/connect",
    operation_id = "finish_installation",
    tag = "Browser",
    summary = "Take the provider's answer, where an app was registered with this address",
    params(
        ("state" = Option<String>, Query, description = "What the provider was sent."),
        ("installation_id" = Option<String>, Query, description = "What the person installed."),
    ),
    responses(
        (status = 302, description = "To the callback, with the same query."),
    )
)]
/// The flow's cookie is for the callback's path.
async fn app_callback(request: HttpRequest, state: web::Data<State>) -> HttpResponse {
    let mut location = begin::redirect_uri(&state.core.settings.public_url);
    if !request.query_string().is_empty() {
        location = format!("{location}?{}", request.query_string());
    }
    HttpResponse::Found()
        .insert_header((LOCATION, location))
        .insert_header(("Cache-Control", "no-store"))
        .finish()
}

/// A callback that no flow of ours waits for. After an installation on the
/// provider's own pages the person goes back to where they came from.
fn stateless(request: &HttpRequest, query: Query) -> HttpResponse {
    let Some(home) = quirks::installation_page(&query.into_map()) else {
        return lost("The provider came back without the state that it was sent.");
    };
    let came_from = request.headers().get(REFERER);
    let came_from = came_from.and_then(|value| value.to_str().ok());
    let came_from = came_from
        .filter(|from| Url::parse(from).is_ok_and(|url| matches!(url.scheme(), "http" | "https")));
    HttpResponse::Found()
        .insert_header((LOCATION, came_from.unwrap_or(home)))
        .insert_header(("Cache-Control", "no-store"))
        .finish()
}

fn lost(reason: &str) -> HttpResponse {
    pages::callback(&Outcome::failure(PopupError::StateErr, reason), None)
}

async fn take(state: &State, token: &SecretString) -> Result<Option<Flow>, Failure> {
    let mut conn = state.core.db.conn().await?;
    Ok(oauth_flows::take(&mut conn, &state.core.vault, token).await?)
}

async fn back(state: &State, request: &HttpRequest, query: Query, flow: Flow) -> HttpResponse {
    let channel = Channel {
        ws_client_id: flow.details.ws_client_id.clone(),
        origin: flow.details.origin.clone(),
        unique_key: flow.details.unique_key.clone(),
    };
    let connection_id = &flow.details.connection_id;
    if request.cookie(&cookie_name(&flow.id.to_string())).is_none() {
        let reason = "This authorisation was started in another browser, \
                      or this one does not keep cookies.";
        let kind = PopupError::StateCookieErr;
        return channel.fail(state, connection_id, kind, reason).await;
    }
    match finish::oauth(&state.core, &flow, &query.into_map()).await {
        Ok(finished) => channel.succeed(state, finished).await,
        Err(Error::Auth(linkspan_auth::Error::NoCode(reason))) => {
            channel
                .fail(state, connection_id, PopupError::CallbackErr, &reason)
                .await
        }
        Err(error) => {
            let failure = Failure::from(error);
            let kind = popup_error(&failure);
            channel
                .fail(state, connection_id, kind, &failure.told())
                .await
        }
    }
}

/// Who waits for a flow's result.
struct Channel {
    ws_client_id: Option<String>,
    origin: Option<String>,
    unique_key: String,
}

impl Channel {
    async fn succeed(&self, state: &State, finished: finish::Finished) -> HttpResponse {
        let message = PopupMessage::Success {
            provider_config_key: finished.integration,
            connection_id: finished.connection_id,
            is_pending: finished.is_pending,
        };
        self.send(state, message).await;
        pages::callback(&Outcome::Success, self.origin.as_deref())
    }

    async fn fail(
        &self,
        state: &State,
        connection_id: &str,
        error_type: PopupError,
        reason: &str,
    ) -> HttpResponse {
        let message = PopupMessage::Error {
            provider_config_key: self.unique_key.clone(),
            connection_id: connection_id.to_owned(),
            error_type,
            error_desc: reason.to_owned(),
        };
        self.send(state, message).await;
        pages::callback(
            &Outcome::failure(error_type, reason),
            self.origin.as_deref(),
        )
    }

    async fn send(&self, state: &State, message: PopupMessage) {
        if let Some(id) = &self.ws_client_id {
            state.channels.send(id, message).await;
        }
    }
}

/// The popup's word for a failure.
fn popup_error(failure: &Failure) -> PopupError {
    match failure.code() {
        ErrorCode::InvalidAuthMode => PopupError::AuthModeErr,
        ErrorCode::UnknownProviderConfig => PopupError::UnknownConfigKey,
        ErrorCode::MissingClientId | ErrorCode::UnknownProviderTemplate => {
            PopupError::ProviderConfigErr
        }
        ErrorCode::MissingConnectionConfig
        | ErrorCode::InvalidQueryParams
        | ErrorCode::InvalidBody => PopupError::UrlParamErr,
        ErrorCode::InvalidConnectSessionTokenFormat
        | ErrorCode::UnknownConnectSessionToken
        | ErrorCode::InvalidPublicKey
        | ErrorCode::IntegrationNotAllowed => PopupError::AccountOrEnvironmentRetrievalErr,
        ErrorCode::MissingHmac => PopupError::MissingHmac,
        ErrorCode::InvalidHmac => PopupError::InvalidHmac,
        // The provider gave no token, whether it said so, said something else, or
        // said nothing.
        ErrorCode::InvalidCredentials
        | ErrorCode::ConnectionTestFailed
        | ErrorCode::UpstreamTimeout
        | ErrorCode::UpstreamUnreachable
        | ErrorCode::UpstreamAddressDenied => PopupError::TokenErr,
        _ => PopupError::UnknownErr,
    }
}
