//! How many calls to one provider are under way at once.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use linkspan_providers::Catalogue;
use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::Error;
use crate::meter::{CallMeter, UNKNOWN};

/// How many calls of one provider a process makes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Calls under way: from sending the request to the end of the answer.
    pub calls: usize,
    /// Calls that wait for one of those to end. Beyond it they are refused.
    pub waiting: usize,
    /// How long one waits at most.
    pub wait: Duration,
}

/// A gate for each provider, so that the calls to one that has become slow do
/// not take the memory and the sockets that the calls to others need.
pub(crate) struct Gates {
    /// Made once, of the providers there are at the start: no call to one of
    /// them takes a lock here.
    gates: HashMap<String, Gate>,
    /// Of the providers that have come since.
    added: RwLock<HashMap<String, Arc<Gate>>>,
    limits: Limits,
    /// Of calls whose provider never got known.
    unknown: OnceLock<Arc<CallMeter>>,
}

struct Gate {
    calls: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Made with the first call: most providers never have one.
    meter: OnceLock<Arc<CallMeter>>,
}

/// The right to make a call, given back when dropped.
#[derive(Debug)]
pub(crate) struct Pass {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Pass {
    /// No right at all, for an answer that is there already.
    pub(crate) const fn none() -> Self {
        Self { _permit: None }
    }
}

impl Gates {
    pub(crate) fn new(catalogue: &Catalogue, limits: Limits) -> Self {
        Self::of(catalogue.entries().map(|entry| entry.slug), limits)
    }

    fn of<'a>(providers: impl Iterator<Item = &'a str>, limits: Limits) -> Self {
        let gate = |slug: &str| (slug.to_owned(), Gate::new(limits));
        Self {
            gates: providers.map(gate).collect(),
            added: RwLock::default(),
            limits,
            unknown: OnceLock::new(),
        }
    }

    /// What counts the calls of a provider; nothing until it is known.
    pub(crate) fn meter(&self, provider: Option<&str>) -> Arc<CallMeter> {
        let Some(provider) = provider else {
            let unknown = self
                .unknown
                .get_or_init(|| Arc::new(CallMeter::new(UNKNOWN)));
            return Arc::clone(unknown);
        };
        match self.gates.get(provider) {
            Some(gate) => gate.meter(provider),
            None => self.added(provider).meter(provider),
        }
    }

    /// Sets the gauges of every provider that has been called.
    pub(crate) fn observe(&self) {
        let limit = self.limits.calls.min(Semaphore::MAX_PERMITS);
        gauge!("linkspan_proxy_calls_limit").set(limit as f64);
        let observe = |provider: &str, gate: &Gate| {
            if gate.meter.get().is_none() {
                return;
            }
            let gauge = |name| gauge!(name, "provider" => provider.to_owned());
            let running = limit.saturating_sub(gate.calls.available_permits());
            let waiting = gate.waiting.load(Ordering::Relaxed);
            gauge("linkspan_proxy_calls_running").set(running as f64);
            gauge("linkspan_proxy_calls_waiting").set(waiting as f64);
        };
        for (provider, gate) in &self.gates {
            observe(provider, gate);
        }
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        for (provider, gate) in added.iter() {
            observe(provider, gate);
        }
    }

    /// Waits for its turn, within the limits.
    ///
    /// # Errors
    /// [`Error::Saturated`] when too many wait already, or it takes too long.
    pub(crate) async fn enter(&self, provider: &str) -> Result<Pass, Error> {
        match self.gates.get(provider) {
            Some(gate) => self.pass(gate, provider).await,
            None => self.pass(&self.added(provider), provider).await,
        }
    }

    fn added(&self, provider: &str) -> Arc<Gate> {
        let added = self.added.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(gate) = added.get(provider) {
            return Arc::clone(gate);
        }
        drop(added);
        let mut added = self.added.write().unwrap_or_else(PoisonError::into_inner);
        let gate = added.entry(provider.to_owned());
        Arc::clone(gate.or_insert_with(|| Arc::new(Gate::new(self.limits))))
    }

    async fn pass(&self, gate: &Gate, provider: &str) -> Result<Pass, Error> {
        if let Ok(permit) = Arc::clone(&gate.calls).try_acquire_owned() {
            return Ok(Pass {
                _permit: Some(permit),
            });
        }
        let saturated = || Error::Saturated {
            provider: provider.to_owned(),
            calls: self.limits.calls,
        };
        let _place = Place::take(&gate.waiting, self.limits.waiting).ok_or_else(saturated)?;
        let turn = Arc::clone(&gate.calls).acquire_owned();
        match tokio::time::timeout(self.limits.wait, turn).await {
            Ok(Ok(permit)) => Ok(Pass {
                _permit: Some(permit),
            }),
            Ok(Err(_)) | Err(_) => Err(saturated()),
        }
    }
}

impl Gate {
    fn new(limits: Limits) -> Self {
        Self {
            calls: Arc::new(Semaphore::new(limits.calls.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            meter: OnceLock::new(),
        }
    }

    fn meter(&self, provider: &str) -> Arc<CallMeter> {
        let meter = self
            .meter
            .get_or_init(|| Arc::new(CallMeter::new(provider)));
        Arc::clone(meter)
    }
}

/// A place among those who wait.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(waiting: &'a AtomicUsize, limit: usize) -> Option<Self> {
        let place = Self(waiting);
        // Dropping the place takes it back.
        (waiting.fetch_add(1, Ordering::Relaxed) < limit).then_some(place)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gates(calls: usize, waiting: usize) -> Gates {
        let limits = Limits {
            calls,
            waiting,
            wait: Duration::from_secs(5),
        };
        Gates::of(["slow", "fast"].into_iter(), limits)
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_waits_for_its_turn_and_only_so_long() {
        let gates = gates(2, 1);
        let (first, _second) = (gates.enter("slow").await, gates.enter("slow").await);
        let waits = gates.enter("slow");
        tokio::pin!(waits);
        let soon = tokio::time::timeout(Duration::from_secs(1), waits.as_mut()).await;
        assert!(soon.is_err(), "it waits");

        let refused = gates.enter("slow").await.unwrap_err();
        assert!(matches!(&refused, Error::Saturated { calls: 2, .. }));
        assert!(gates.enter("fast").await.is_ok(), "others have their own");
        let new = (gates.enter("new").await, gates.enter("new").await);
        assert!(new.0.is_ok() && new.1.is_ok());
        let next = tokio::time::timeout(Duration::from_secs(1), gates.enter("new"));
        assert!(next.await.is_err(), "those that came later, too");

        drop(first);
        let third = waits.await;
        assert!(third.is_ok());
        let late = gates.enter("slow").await.unwrap_err();
        assert!(matches!(late, Error::Saturated { .. }), "five seconds on");
    }

    #[tokio::test]
    async fn who_stops_waiting_leaves_a_place() {
        let gates = gates(1, 1);
        let _first = gates.enter("slow").await;
        for _ in 0..3 {
            let gone = tokio::time::timeout(Duration::ZERO, gates.enter("slow")).await;
            assert!(gone.is_err(), "it waited, and was not refused");
        }
    }
}
