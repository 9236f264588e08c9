//! Connections that stay open and say nothing.

use std::net::SocketAddr;

use linkspan_shared::db::{Database, Settings as Pool};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use url::Url;

use crate::world::{World, doing, job};

/// Stands before the server. What is open when it is told goes silent: both ends stay
/// connected, and nothing more gets through.
struct Balancer {
    address: SocketAddr,
    hush: watch::Sender<u32>,
}

impl Balancer {
    async fn before(server: &Url) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let host = server.host_str().unwrap().to_owned();
        let server = (host, server.port().unwrap_or(5432));
        let (hush, told) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((mut caller, _)) = listener.accept().await {
                let (server, mut told) = (server.clone(), told.clone());
                told.mark_unchanged();
                tokio::spawn(async move {
                    let mut onward = TcpStream::connect(server).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut caller, &mut onward) => {}
                        Ok(()) = told.changed() => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, hush }
    }
}

/// The system sees nothing wrong with them, so that nothing ends them.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_gives_up_connections_that_say_nothing_and_works_on() {
    let world = World::new().await;
    let url = world.database.url();
    let mut url: Url = url.expose_secret().parse().unwrap();
    let balancer = Balancer::before(&url).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(balancer.address.port())).unwrap();
    let db = Database::new(&Pool {
        url: SecretString::from(url.to_string()),
        max_connections: 4,
        timeout: Duration::from_secs(5),
    });
    let worker = linkspan_worker::start(
        db.unwrap(),
        world.waker.clone(),
        doing(|_, _| async { Ok(()) }),
        world.settings(),
    );
    world.add(&[job(1)]).await;
    world.until_succeeded(1).await;
    let lease = worker.lease();
    assert_eq!(lease.is_held(), Ok(()));

    balancer.hush.send_modify(|n| *n += 1);
    world.add(&[job(2)]).await;
    world.until_succeeded(2).await;
    world
        .until(1, "jobs.workers WHERE expires_at > now()")
        .await;
    worker.stop().await;
}
