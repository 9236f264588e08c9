//! Starting and stopping.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use actix_web::dev::ServerHandle;
use actix_web::middleware::from_fn;
use actix_web::{App, HttpServer, rt, web};
use tokio::sync::oneshot;
use url::Url;

use crate::control::Control;
use crate::routes;
use crate::settings::{Client, Settings};
use crate::state::State;

/// How long a graceful stop waits for requests in progress, in seconds.
const GRACE: u64 = 2;

/// A running simulated provider. Dropping it stops it without grace.
pub struct Simulator {
    state: Arc<State>,
    handle: ServerHandle,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator")
            .field("base_url", &self.state.base_url.as_str())
            .finish_non_exhaustive()
    }
}

impl Simulator {
    /// Binds and serves on threads of its own, so that any runtime (or none)
    /// may be the caller's. When it returns, connections are accepted.
    ///
    /// # Errors
    /// The address cannot be bound, the state file cannot be read, or threads
    /// cannot be started.
    pub async fn start(settings: Settings) -> io::Result<Self> {
        let listener = TcpListener::bind(settings.bind)?;
        let base_url = base_url(listener.local_addr()?)?;
        let state = Arc::new(State::new(settings, base_url)?);
        let (ready, started) = oneshot::channel();
        let thread = thread::Builder::new().name("simulator".into()).spawn({
            let state = Arc::clone(&state);
            move || serve(listener, state, ready)
        })?;
        let handle = started
            .await
            .map_err(|_| io::Error::other("the simulator's thread ended at its start"))??;
        Ok(Self {
            state,
            handle,
            thread: Some(thread),
        })
    }

    /// Where it answers: scheme, address, port, and `/` as the path. A listener
    /// on all addresses is named by its loopback one.
    pub fn base_url(&self) -> &Url {
        &self.state.base_url
    }

    /// The one registered OAuth client.
    pub fn client(&self) -> &Client {
        &self.state.settings.client
    }

    /// A hand on it, which may be cloned and outlive it.
    pub fn control(&self) -> Control {
        Control::new(Arc::clone(&self.state))
    }

    /// Stops accepting, lets requests in progress finish (two seconds at
    /// most), and returns once the port is free.
    pub async fn stop(mut self) {
        self.handle.stop(true).await;
        self.join();
    }

    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // Its panic was reported by the thread itself; stopping goes on.
            let _ = thread.join();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        if self.thread.is_some() {
            // The command is sent by the call; the future only waits for it.
            drop(self.handle.stop(false));
            self.join();
        }
    }
}

fn serve(
    listener: TcpListener,
    state: Arc<State>,
    ready: oneshot::Sender<io::Result<ServerHandle>>,
) {
    rt::System::new().block_on(async move {
        let app = move || {
            App::new()
                .app_data(web::Data::from(Arc::clone(&state)))
                .app_data(web::PayloadConfig::new(routes::MOST_BODY_BYTES))
                .wrap(from_fn(routes::observe))
                .configure(routes::configure)
        };
        let server = HttpServer::new(app)
            .workers(2)
            .tcp_nodelay(true)
            .shutdown_timeout(GRACE)
            .disable_signals()
            .listen(listener)
            .map(HttpServer::run);
        match server {
            Ok(server) => {
                // A caller that gave up in between has no use for the server.
                if ready.send(Ok(server.handle())).is_ok() {
                    // The only way to end is a stop, which its caller awaits.
                    let _ = server.await;
                }
            }
            Err(error) => drop(ready.send(Err(error))),
        }
    });
}

fn base_url(address: SocketAddr) -> io::Result<Url> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let named = SocketAddr::new(ip, address.port());
    Url::parse(&format!("http://{named}/")).map_err(io::Error::other)
}
