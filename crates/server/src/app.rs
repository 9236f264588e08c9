//! The routes, and what every answer carries.

use std::sync::Arc;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::{HttpResponse, web};
use linkspan_api::ErrorCode;
use linkspan_proxy::Proxy;
use linkspan_records::{Feed, Store};
use linkspan_shared::Core;
use linkspan_shared::config::Config;
use tokio::sync::Semaphore;

use crate::callers::Callers;
use crate::error::Failure;
use crate::openapi::{self, Routes};
use crate::popup::Channels;
use crate::rate::RateLimit;
use crate::routes;
use crate::seats::Seats;

/// What handlers work with.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) core: Core,
    pub(crate) proxy: Proxy,
    pub(crate) records: Store,
    pub(crate) feed: Feed,
    /// A permit for each stream of changes.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) channels: Channels,
    pub(crate) websockets_path: String,
    pub(crate) rate: RateLimit,
    pub(crate) seats: Arc<Seats>,
}

impl State {
    /// Puts the parts together; `connections` is how many the process takes. Must
    /// run inside a tokio runtime.
    #[must_use]
    pub(crate) fn new(core: Core, proxy: Proxy, config: &Config, connections: usize) -> Self {
        let server = &config.server;
        // Pages that wait must not keep everybody else out.
        let most = server.max_websockets.min((connections / 4 * 3).max(1));
        let per_address = server.max_websockets_per_address;
        let records = Store::of(&core);
        let streams = config.records.max_streams.min((connections / 2).max(1));
        let callers = Callers::behind(server.trusted_proxies.clone());
        Self {
            rate: RateLimit::new(&config.limits, callers.clone()),
            feed: Feed::new(records.clone()),
            records,
            streams: Arc::new(Semaphore::new(streams)),
            channels: Channels::new(core.db.clone(), config.database.max_connections),
            core,
            proxy,
            websockets_path: server.websockets_path.clone(),
            seats: Seats::new(most, per_address, callers),
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
    routes::records::configure(routes);
    routes::sync::configure(routes);
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
