//! Starting and stopping the server.

use std::future::ready;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_cors::Cors;
use actix_http::error::DispatchError;
use actix_http::{HttpService, KeepAlive, Protocol};
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::{App, web};
use linkspan_proxy::Proxy;
use linkspan_shared::Core;
use linkspan_shared::config::{self, Config};
use metrics::gauge;
use tokio::net::TcpStream;

use crate::app::{self, State};
use crate::meter::{self, Meters};
use crate::slots::{self, Slots};
use crate::transport::{Patience, Transport};
use crate::{rate, serving};

/// How long a caller may take to close a connection that the server has closed.
const DISCONNECT: Duration = Duration::from_secs(1);

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
    slots: Arc<Slots>,
}

/// What sets the server's gauges. Cheap to clone.
#[derive(Clone)]
pub struct Observer {
    state: web::Data<State>,
    slots: Arc<Slots>,
}

impl Observer {
    /// Sets the gauges of connections, websockets and gates, and the core's, to
    /// what is now.
    pub fn observe(&self) {
        let Self { state, slots } = self;
        gauge!("linkspan_http_connections").set(slots.taken() as f64);
        gauge!("linkspan_http_connections_limit").set(slots.limit() as f64);
        gauge!("linkspan_websockets").set(state.seats.taken() as f64);
        gauge!("linkspan_websockets_limit").set(state.seats.limit() as f64);
        state.proxy.observe();
        state.core.observe();
    }
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

/// What stops a server.
#[derive(Clone)]
pub struct Stopper {
    server: ServerHandle,
    state: web::Data<State>,
}

impl Stopper {
    /// Stops listening, lets the requests under way finish, and closes the
    /// websockets and streams, for which callers come again elsewhere.
    pub async fn stop(&self) {
        self.state.feed.close();
        self.state.channels.close_all().await;
        self.server.stop(true).await;
    }
}

impl std::fmt::Debug for Stopper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stopper").finish_non_exhaustive()
    }
}

/// The proxy that a configuration describes.
#[must_use]
pub fn proxy(core: Core, config: &Config) -> Proxy {
    Proxy::new(
        core,
        linkspan_proxy::Settings {
            timeout: config.proxy.timeout,
            idle_timeout: config.proxy.idle_timeout,
            held_body_limit: config.proxy.held_body_limit,
            whole_body_limit: config.server.request_body_limit,
            limits: linkspan_proxy::Limits {
                calls: config.proxy.calls_per_provider,
                waiting: config.proxy.waiting_per_provider,
                wait: config.proxy.wait,
            },
        },
    )
}

/// Puts a server together as a configuration says and starts it: it listens
/// when this returns, and serves while [`Running::serve`] is awaited.
///
/// # Errors
/// [`StartError`] when the address is taken or not ours.
pub fn start(core: Core, config: &Config) -> Result<Running, StartError> {
    let bind = config.server.bind;
    let proxy = proxy(core.clone(), config);
    meter::describe();
    let connections = slots::limit(config);
    let state = web::Data::new(State::new(core, proxy, config, connections));
    let failed = |source| StartError { bind, source };
    let listener = TcpListener::bind(bind).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let workers = workers(&config.server);
    let each = connections.div_ceil(workers);
    let slots = Slots::new(each * workers);
    let server = listen(listener, &config.server, (workers, each), &slots, &state);
    let server = server.map_err(failed)?;
    Ok(Running {
        server,
        address,
        state,
        slots,
    })
}

fn workers(config: &config::Server) -> usize {
    match config.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers,
    }
}

/// Serves a listener in so many threads, each of which takes so many
/// connections.
fn listen(
    listener: TcpListener,
    config: &config::Server,
    (workers, each): (usize, usize),
    slots: &Arc<Slots>,
    state: &web::Data<State>,
) -> std::io::Result<Server> {
    let server = Server::build();
    let stopping = server.graceful_shutdown_signal();
    let (config, state, slots) = (config.clone(), state.clone(), Arc::clone(slots));
    let patience = Patience {
        idle: config.keep_alive,
        head: config.head_timeout,
        write: config.write_timeout,
    };
    let server = server.listen("http", listener, move || {
        let (slots, stopping) = (Arc::clone(&slots), stopping.clone());
        let (body_timeout, app_state) = (config.body_timeout, state.clone());
        let client = web::Data::new(state.core.http.apart());
        let meters = Meters::new();
        let app = App::new()
            .wrap(from_fn(rate::headers))
            .wrap(from_fn(app::refuse_nul))
            .wrap(app::headers())
            .wrap(cors())
            .wrap_fn(move |request, app| {
                serving::serve(request, app, body_timeout, Rc::clone(&meters))
            })
            .app_data(app_state)
            .app_data(client)
            .app_data(web::PayloadConfig::new(config.request_body_limit))
            .configure(app::configure)
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(KeepAlive::Os)
            .client_request_timeout(Duration::ZERO)
            .client_disconnect_timeout(DISCONNECT)
            // A caller that hangs up is told from one that has only finished
            // sending by nothing but this. Otherwise its call would go on to
            // the API's last byte.
            .h1_allow_half_closed(false)
            .on_connect_ext(|transport: &Transport, data| {
                data.insert(transport.activity());
            })
            .finish(map_config(app, |()| AppConfig::default()));
        fn_service(move |io| ready(Ok::<_, DispatchError>(connect(io, patience, &slots))))
            .and_then(http)
    })?;
    Ok(server
        .workers(workers)
        .max_concurrent_connections(each)
        .disable_signals()
        .shutdown_timeout(30)
        .run())
}

/// A connection as the HTTP service takes it.
fn connect(
    io: TcpStream,
    patience: Patience,
    slots: &Arc<Slots>,
) -> (Transport, Protocol, Option<SocketAddr>) {
    // Otherwise an answer in two segments waits for a delayed acknowledgement:
    // 40 ms at the 99th percentile (docs/performance.md). A connection that
    // cannot be told is gone, which reading from it shows.
    let _ = io.set_nodelay(true);
    let peer = io.peer_addr().ok();
    let transport = Transport::new(io, patience, slots.take());
    (transport, Protocol::Http1, peer)
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

    /// What sets its gauges.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer {
            state: self.state.clone(),
            slots: Arc::clone(&self.slots),
        }
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
