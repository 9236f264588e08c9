//! Calls of an end user's browser, by connect session or public key.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};
use linkspan_api::ErrorCode;
use linkspan_shared::connect_sessions::{self, ConnectSession};
use linkspan_shared::limits;
use linkspan_shared::public_key::{self, Shown};
use secrecy::{ExposeSecret, SecretString};

use super::Query;
use super::caller::{bearer, state};
use crate::app::State;
use crate::error::Failure;

/// A connect session named by the Authorization header.
pub(crate) struct Session(pub(crate) ConnectSession);

/// What a browser may do, by the query's `connect_session_token`, or by its
/// `public_key` (with `hmac` and `connection_id`): what the popup and the
/// frontend SDK send, which cannot set headers on a navigation. A public key is
/// for the integration that the path names, and no other.
pub(crate) struct Browser(pub(crate) ConnectSession);

/// How the API's description names what [`Browser`] and the routes that take it
/// read of a query.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "the fields are read by the derived description only"
)]
pub(crate) struct BrowserParams {
    /// A connect session's token; this or `public_key`.
    connect_session_token: Option<String>,
    /// The environment's public key.
    public_key: Option<String>,
    /// With a public key: the connection's id.
    connection_id: Option<String>,
    /// With a public key: what your backend signed.
    hmac: Option<String>,
    /// Values of the template's `connection_config` fields.
    #[param(style = DeepObject, explode, inline, value_type = Option<BTreeMap<String, String>>)]
    params: Option<BTreeMap<String, String>>,
}

impl Browser {
    /// Takes the parameters that this extractor has read. A session's
    /// connection is named by the server, so beside its token a
    /// `connection_id` is left, to be refused.
    pub(crate) fn take(query: &mut Query) {
        if query.take("connect_session_token").is_none() {
            shown(query);
        }
    }
}

/// The parameters of the public key flow.
fn shown(query: &mut Query) -> Option<Shown> {
    let hmac = query.take("hmac");
    let connection_id = query.take("connection_id");
    Some(Shown {
        public_key: query.take("public_key")?,
        hmac,
        connection_id,
    })
}

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

impl FromRequest for Session {
    type Error = Failure;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = bearer(request);
        let state = state(request);
        let request = request.clone();
        Box::pin(async move {
            let state = state?;
            find(&state, &request, &token?).await.map(Self)
        })
    }
}

impl FromRequest for Browser {
    type Error = Failure;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let mut query = Query::of(request);
        let token = query.take("connect_session_token").map(SecretString::from);
        let shown = shown(&mut query);
        let unique_key = web::Path::<String>::extract(request);
        let state = state(request);
        let request = request.clone();
        Box::pin(async move {
            let state = state?;
            match (token, shown) {
                (Some(token), _) => find(&state, &request, &token).await.map(Self),
                (None, Some(shown)) => {
                    check_id(shown.connection_id.as_deref())?;
                    state.rate.count_address(&request)?;
                    let unique_key = unique_key
                        .await
                        .map_err(|_| Failure::of(ErrorCode::NotFound))?;
                    let session = public_key::admit(&state.core, shown, &unique_key).await?;
                    state.rate.count_public(&request, session.environment_id)?;
                    Ok(Self(session))
                }
                (None, None) => Err(Failure::query(
                    "invalid_type",
                    "Required",
                    "connect_session_token",
                )),
            }
        })
    }
}

/// Refuses a connection's id that the backend could not ask for again.
fn check_id(connection_id: Option<&str>) -> Result<(), Failure> {
    match connection_id {
        Some(id) if !limits::is_connection_id(id) => Err(Failure::query(
            "invalid_string",
            limits::CONNECTION_ID,
            "connection_id",
        )),
        _ => Ok(()),
    }
}

async fn find(
    state: &State,
    request: &HttpRequest,
    token: &SecretString,
) -> Result<ConnectSession, Failure> {
    if !connect_sessions::is_token(token.expose_secret()) {
        return Err(Failure::of(ErrorCode::InvalidConnectSessionTokenFormat));
    }
    let mut conn = state.core.db.conn().await?;
    let session = connect_sessions::find(&mut conn, &state.core.vault, token).await?;
    let Some(session) = session else {
        // Guesses count for whoever makes them.
        state.rate.count_address(request)?;
        return Err(Failure::of(ErrorCode::UnknownConnectSessionToken));
    };
    state.rate.count_session(request, &session)?;
    Ok(session)
}
