//! The routes, and what every answer carries.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::{HttpResponse, web};
use linkspan_api::ErrorCode;
use linkspan_proxy::Proxy;
use linkspan_shared::Core;

use crate::error::Failure;
use crate::openapi::{self, Routes};
use crate::popup::Channels;
use crate::rate::RateLimit;
use crate::routes;

/// What handlers work with.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) proxy: Proxy,
    pub(crate) channels: Channels,
    pub(crate) websockets_path: String,
    pub(crate) rate: RateLimit,
}

impl State {
    /// Puts the parts together.
    #[must_use]
    pub(crate) fn new(core: Core, proxy: Proxy, websockets_path: String, rate: RateLimit) -> Self {
        Self {
            rate,
            channels: Channels::new(core.db.clone()),
            core,
            proxy,
            websockets_path,
        }
    }

    /// The address that browsers reach this server by, without a slash at its
    /// end.
    pub(crate) fn public_url(&self) -> &str {
        self.core.settings.public_url.as_str().trim_end_matches('/')
    }

    /// Where a provider's logo is.
    pub(crate) fn logo_url(&self, provider: &str) -> String {
        format!("{}/images/template-logos/{provider}.svg", self.public_url())
    }
}

/// Everything that the server answers.
pub(crate) fn configure(config: &mut web::ServiceConfig) {
    config.service(web::scope("/proxy").default_service(web::to(routes::proxy::call)));
    routes(&mut Routes::new(config));
    config
        .configure(routes::telemetry::configure)
        .configure(routes::websocket::configure)
        .default_service(web::to(not_found));
}

/// The routes of the API, which `/openapi.json` describes.
pub(crate) fn routes(routes: &mut Routes<'_>) {
    routes::proxy::describe(routes);
    routes::health::configure(routes);
    routes::providers::configure(routes);
    routes::integrations::configure(routes);
    routes::metadata::configure(routes);
    routes::connections::configure(routes);
    routes::environments::configure(routes);
    routes::variables::configure(routes);
    routes::connect::configure(routes);
    routes::oauth::configure(routes);
    routes::credentials::configure(routes);
    routes::logs::configure(routes);
    openapi::configure(routes);
}

/// Headers that hold for every answer that does not set its own.
pub(crate) fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add(("X-Content-Type-Options", "nosniff"))
        .add(("Referrer-Policy", "no-referrer"))
        .add(("X-Frame-Options", "DENY"))
}

/// Postgres' texts have no NUL, so that nothing we store can be named by one.
/// What is proxied is the API's to judge.
pub(crate) async fn refuse_nul(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let path = request.path();
    if path.contains("%00") && !path.starts_with("/proxy/") {
        return Err(Failure::of(ErrorCode::InvalidUriParams).into());
    }
    next.call(request).await
}

async fn not_found(request: actix_web::HttpRequest) -> Result<HttpResponse, Failure> {
    Err(Failure::new(
        ErrorCode::NotFound,
        format!("There is no {} {}.", request.method(), request.path()),
    ))
}
