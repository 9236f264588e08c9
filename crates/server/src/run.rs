//! Starting and stopping the server.

use std::net::SocketAddr;

use actix_cors::Cors;
use actix_web::dev::{Server, ServerHandle};
use actix_web::http::header::HeaderName;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, web};
use linkspan_proxy::Proxy;
use linkspan_shared::Core;
use linkspan_shared::config::{self, Config};

use crate::app::{self, State};
use crate::rate::{self, RateLimit};

/// Why the server did not start.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {bind}: {source}")]
pub struct StartError {
    /// Where it should have listened.
    pub bind: SocketAddr,
    /// Why it cannot.
    pub source: std::io::Error,
}

/// A server that is listening.
pub struct Running {
    server: Server,
    address: SocketAddr,
    state: web::Data<State>,
}

/// What stops a server.
#[derive(Clone)]
pub struct Stopper {
    server: ServerHandle,
    state: web::Data<State>,
}

impl Stopper {
    /// Stops listening, lets the requests under way finish, and closes the
    /// websockets, whose pages open new ones elsewhere.
    pub async fn stop(&self) {
        self.state.channels.close_all().await;
        self.server.stop(true).await;
    }
}

impl std::fmt::Debug for Stopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stopper").finish_non_exhaustive()
    }
}

/// Puts a server together as a configuration says and starts it: it listens
/// when this returns, and serves while [`Running::serve`] is awaited.
///
/// # Errors
/// [`StartError`] when the address is taken or not ours.
pub fn start(core: Core, config: &Config) -> Result<Running, StartError> {
    let config::Server {
        bind,
        workers,
        request_body_limit,
        ref websockets_path,
        ref client_address_header,
        ..
    } = config.server;
    let proxy = Proxy::new(
        core.clone(),
        linkspan_proxy::Settings {
            timeout: config.proxy.timeout,
            idle_timeout: config.proxy.idle_timeout,
            held_body_limit: config.proxy.held_body_limit,
            whole_body_limit: request_body_limit,
            limits: linkspan_proxy::Limits {
                calls: config.proxy.calls_per_provider,
                waiting: config.proxy.waiting_per_provider,
                wait: config.proxy.wait,
            },
        },
    );
    let rate = RateLimit::new(rate::Settings {
        environment: config.limits.requests_per_minute,
        browser: config.limits.browser_requests_per_minute,
        address_header: client_address_header
            .as_ref()
            .and_then(|name| HeaderName::from_bytes(name.as_ref()).ok()),
    });
    let state = State::new(core, proxy, websockets_path.clone(), rate);
    let state = web::Data::new(state);
    let app_state = state.clone();
    let mut server = HttpServer::new(move || {
        App::new()
            .wrap(from_fn(rate::headers))
            .wrap(from_fn(app::refuse_nul))
            .wrap(app::headers())
            .wrap(cors())
            .app_data(app_state.clone())
            .app_data(web::PayloadConfig::new(request_body_limit))
            .configure(app::configure)
    })
    // Otherwise an answer in two segments waits for a delayed acknowledgement:
    // 40 ms at the 99th percentile (docs/performance.md).
    .tcp_nodelay(true)
    // A caller that hangs up is told from one that has only finished sending by
    // nothing but this. Otherwise its call would go on to the API's last byte.
    .h1_allow_half_closed(false)
    .disable_signals()
    .shutdown_timeout(30);
    if workers > 0 {
        server = server.workers(workers);
    }
    let failed = |source| StartError { bind, source };
    let server = server.bind(bind).map_err(failed)?;
    let address = server.addrs().first().copied().unwrap_or(bind);
    Ok(Running {
        server: server.run(),
        address,
        state,
    })
}

/// Browsers call from the product's own pages. What they may do is decided by
/// the session token that they carry in each call, never by a cookie, so every
/// origin may ask.
fn cors() -> Cors {
    Cors::default()
        .allow_any_origin()
        .allow_any_method()
        .allow_any_header()
        .expose_headers(rate::SHOWN)
        .max_age(3_600)
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stops it.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        Stopper {
            server: self.server.handle(),
            state: self.state.clone(),
        }
    }

    /// Serves until it is stopped.
    ///
    /// # Errors
    /// When the listening socket fails.
    pub async fn serve(self) -> std::io::Result<()> {
        self.server.await
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
