//! Calls of an end user's browser, by connect session.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};
use linkspan_api::ErrorCode;
use linkspan_shared::connect_sessions::{self, ConnectSession};
use secrecy::{ExposeSecret, SecretString};

use super::caller::{bearer, state};
use crate::app::State;
use crate::error::Failure;

/// A connect session named by the Authorization header.
pub(crate) struct Session(pub(crate) ConnectSession);

/// A connect session named by the query's `connect_session_token`: what the
/// popup and the frontend SDK send, which cannot set headers on a navigation.
pub(crate) struct Browser(pub(crate) ConnectSession);

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Failure>>>>;

impl FromRequest for Session {
    type Error = Failure;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = bearer(request);
        let state = state(request);
        Box::pin(async move {
            let state = state?;
            find(&state, &token?).await.map(Self)
        })
    }
}

impl FromRequest for Browser {
    type Error = Failure;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let token = url::form_urlencoded::parse(request.query_string().as_bytes())
            .find(|(name, _)| name == "connect_session_token")
            .map(|(_, token)| SecretString::from(token.into_owned()));
        let state = state(request);
        Box::pin(async move {
            let token = token.ok_or_else(|| {
                Failure::query("invalid_type", "Required", "connect_session_token")
            })?;
            let state = state?;
            find(&state, &token).await.map(Self)
        })
    }
}

async fn find(state: &State, token: &SecretString) -> Result<ConnectSession, Failure> {
    if !connect_sessions::is_token(token.expose_secret()) {
        return Err(Failure::of(ErrorCode::InvalidConnectSessionTokenFormat));
    }
    let mut conn = state.core.db.conn().await?;
    connect_sessions::find(&mut conn, &state.core.vault, token)
        .await?
        .ok_or_else(|| Failure::of(ErrorCode::UnknownConnectSessionToken))
}
