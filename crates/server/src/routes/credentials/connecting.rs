//! The one way in for credentials, whatever their mode.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use linkspan_api::popup::AuthResult;
use linkspan_auth::Entered;
use linkspan_providers::AuthMode;
use linkspan_shared::connect_sessions::ConnectSession;
use linkspan_shared::connections::finish;
use utoipa::openapi::security::SecurityRequirement;

use super::connection_config;
use crate::app::State;
use crate::error::Failure;
use crate::extract::{Browser, Query};
use crate::openapi::Opening;

/// A browser that may connect the integration of the path `{unique_key}`.
pub(super) struct Connecting {
    session: ConnectSession,
    state: web::Data<State>,
    unique_key: String,
    request: HttpRequest,
}

impl Connecting {
    /// Connects with what the person entered, where the integration's mode is
    /// `mode`.
    pub(super) async fn with(
        self,
        mode: AuthMode,
        entered: impl Into<Entered>,
    ) -> Result<HttpResponse, Failure> {
        let mut query = Query::of(&self.request);
        Browser::take(&mut query);
        let connection_config = connection_config(&mut query);
        query.end()?;
        let finished = finish::fields(
            &self.state.core,
            &self.session,
            &self.unique_key,
            mode,
            &entered.into(),
            connection_config,
        )
        .await?;
        Ok(HttpResponse::Ok().json(AuthResult {
            provider_config_key: finished.integration,
            connection_id: finished.connection_id,
            is_pending: finished.is_pending,
        }))
    }
}

impl FromRequest for Connecting {
    type Error = actix_web::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Self::Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let browser = Browser::from_request(request, payload);
        let state = web::Data::extract(request);
        let unique_key = web::Path::<String>::extract(request);
        let request = request.clone();
        Box::pin(async move {
            let Browser(session) = browser.await?;
            Ok(Self {
                session,
                state: state.await?,
                unique_key: unique_key.await?.into_inner(),
                request,
            })
        })
    }
}

impl Opening for Connecting {
    fn security() -> Option<Vec<SecurityRequirement>> {
        Browser::security()
    }

    fn is_open() -> bool {
        Browser::is_open()
    }
}

/// How the API's description names the path of these routes.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(
    dead_code,
    reason = "the field is read by the derived description only"
)]
pub(super) struct IntegrationKey {
    /// The integration's key.
    unique_key: String,
}

/// How it names their answer.
#[derive(utoipa::IntoResponses)]
#[response(status = 200, description = "The connection.")]
#[expect(
    dead_code,
    reason = "the field is read by the derived description only"
)]
pub(super) struct Connected(AuthResult);
