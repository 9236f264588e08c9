//! The refreshes that are under way in this process: one for each connection,
//! however many wait for it.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::Error;
use crate::connections::{Connection, Live};
use crate::tenancy::EnvironmentId;

/// How a flight ended, for everybody who waited.
pub(super) type Outcome = Result<Live, Failed>;

/// Why there are no newer credentials.
#[derive(Debug, Clone)]
pub(super) struct Failed {
    pub(super) error: Arc<Error>,
}

type Key = (EnvironmentId, i64);
type Arrival = watch::Receiver<Option<Outcome>>;

/// The refreshes under way. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Flights(Arc<Inner>);

struct Inner {
    /// Where they run: not on the runtime of whoever asks, which may be a
    /// worker of the server and end with it.
    runtime: Handle,
    arrivals: Mutex<HashMap<Key, Arrival>>,
    count: watch::Sender<usize>,
}

impl Flights {
    /// Flights that run on the runtime of the caller.
    pub(crate) fn on_this_runtime() -> Self {
        Self(Arc::new(Inner {
            runtime: Handle::current(),
            arrivals: Mutex::default(),
            count: watch::Sender::new(0),
        }))
    }

    /// Whether a flight for this connection is under way.
    pub(super) fn has(&self, connection: &Connection) -> bool {
        self.arrivals().contains_key(&key(connection))
    }

    pub(crate) fn count(&self) -> usize {
        self.arrivals().len()
    }

    /// Waits until there is none.
    pub(super) async fn landed(&self) {
        // The sender lives as long as this.
        let _ = self.0.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Waits for the flight of a connection, which `begin` makes if there is
    /// none. The flight goes on without those who stop waiting: the token that
    /// it spends may be good only once.
    pub(super) async fn join<F>(
        &self,
        connection: &Connection,
        begin: impl FnOnce() -> F,
    ) -> Outcome
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut arrival = self.board(key(connection), begin);
        let outcome = arrival
            .wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|seen| seen.clone());
        outcome.unwrap_or_else(|| {
            let reason = "it stopped unexpectedly; the server's log has the reason";
            Err(Failed::new(Error::RefreshFailed(reason.to_owned())))
        })
    }

    fn board<F>(&self, key: Key, begin: impl FnOnce() -> F) -> Arrival
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let mut arrivals = self.arrivals();
        if let Some(arrival) = arrivals.get(&key) {
            return arrival.clone();
        }
        let (sender, arrival) = watch::channel(None);
        arrivals.insert(key, arrival.clone());
        self.0.count.send_replace(arrivals.len());
        drop(arrivals);
        let landing = Landing {
            flights: self.clone(),
            key,
        };
        let flight = begin();
        self.0.runtime.spawn(async move {
            let outcome = flight.await;
            // Whoever comes from now on begins a new one.
            drop(landing);
            sender.send_replace(Some(outcome));
        });
        arrival
    }

    fn arrivals(&self) -> MutexGuard<'_, HashMap<Key, Arrival>> {
        // Each change is one insertion or removal: a panic leaves no half one.
        self.0
            .arrivals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Flights").field(&self.count()).finish()
    }
}

fn key(connection: &Connection) -> Key {
    (connection.environment_id, connection.id)
}

/// Strikes a flight off the list, also when it panics.
struct Landing {
    flights: Flights,
    key: Key,
}

impl Drop for Landing {
    fn drop(&mut self) {
        let mut arrivals = self.flights.arrivals();
        arrivals.remove(&self.key);
        self.flights.0.count.send_replace(arrivals.len());
    }
}
