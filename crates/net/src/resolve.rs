//! Names to addresses that may be called.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

use crate::connect::ConnectFailure;
use crate::policy::AddressPolicy;

/// What [`Lookup::addresses`] returns.
pub type LookupFuture = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Where the addresses of names come from. Asked once per new connection, which
/// then goes to one of the addresses of that very answer.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of `host`, the preferred ones first.
    fn addresses(&self, host: &str) -> LookupFuture;
}

/// Resolves a name and drops the addresses that the policy blocks. The caller
/// connects to what is returned, without asking again.
#[derive(Clone)]
pub(crate) struct CheckedResolver {
    pub(crate) lookup: Arc<dyn Lookup>,
    pub(crate) policy: Arc<AddressPolicy>,
}

impl Service<Name> for CheckedResolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ConnectFailure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectFailure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectFailure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let answer = self.lookup.addresses(name.as_str());
        let policy = Arc::clone(&self.policy);
        Box::pin(async move {
            let addresses = answer.await.map_err(|error| ConnectFailure::Dns {
                temporary: is_temporary(&error),
            })?;
            checked(&policy, name.as_str(), addresses)
        })
    }
}

fn checked(
    policy: &AddressPolicy,
    name: &str,
    addresses: Vec<IpAddr>,
) -> Result<std::vec::IntoIter<SocketAddr>, ConnectFailure> {
    let mut refused = None;
    let mut open = Vec::with_capacity(addresses.len());
    for address in addresses {
        match policy.check_resolved(name, address) {
            // The port of the URL replaces 0.
            Ok(()) => open.push(SocketAddr::new(address, 0)),
            Err(reason) => {
                tracing::debug!(host = name, %reason, "address dropped");
                refused.get_or_insert(reason);
            }
        }
    }
    match refused {
        Some(reason) if open.is_empty() => Err(ConnectFailure::Blocked(reason)),
        _ if open.is_empty() => Err(ConnectFailure::Dns { temporary: false }),
        _ => Ok(open.into_iter()),
    }
}

/// `getaddrinfo`'s code does not survive in [`io::Error`], only its text: glibc's
/// "Temporary failure in name resolution", musl's "Try again".
fn is_temporary(error: &io::Error) -> bool {
    let text = error.to_string();
    text.contains("Temporary failure")
        || text.contains("Try again")
        || matches!(
            error.kind(),
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
        )
}
