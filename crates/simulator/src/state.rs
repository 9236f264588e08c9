//! What all handlers of one simulator share.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use url::Url;

use crate::faults::{Fault, FaultQueue};
use crate::grants::Grants;
use crate::items::Items;
use crate::journal::Journal;
use crate::settings::Settings;
use crate::tickets::Tickets;

/// One simulator's memory. Every lock is held for a few map operations and
/// never across an await.
pub(crate) struct State {
    pub(crate) settings: Settings,
    pub(crate) base_url: Url,
    grants: Mutex<Grants>,
    tickets: Mutex<Tickets>,
    items: Mutex<Items>,
    journal: Mutex<Journal>,
    faults: Mutex<FaultQueue>,
    clock_ahead: Mutex<Duration>,
    /// Bumped with each change of the journal, for those who wait for one.
    pub(crate) changed: watch::Sender<u64>,
}

impl State {
    pub(crate) fn new(settings: Settings, base_url: Url) -> Self {
        Self {
            grants: Mutex::new(Grants::new(settings.access_token_life)),
            tickets: Mutex::default(),
            items: Mutex::new(Items::initial()),
            journal: Mutex::default(),
            faults: Mutex::default(),
            clock_ahead: Mutex::default(),
            changed: watch::Sender::new(0),
            settings,
            base_url,
        }
    }

    /// The provider's time, which tests may put forward.
    pub(crate) fn now(&self) -> Instant {
        let ahead = *lock(&self.clock_ahead);
        Instant::now() + ahead
    }

    pub(crate) fn advance(&self, by: Duration) {
        *lock(&self.clock_ahead) += by;
    }

    pub(crate) fn grants(&self) -> MutexGuard<'_, Grants> {
        lock(&self.grants)
    }

    pub(crate) fn tickets(&self) -> MutexGuard<'_, Tickets> {
        lock(&self.tickets)
    }

    pub(crate) fn items(&self) -> MutexGuard<'_, Items> {
        lock(&self.items)
    }

    pub(crate) fn journal(&self) -> MutexGuard<'_, Journal> {
        lock(&self.journal)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultQueue> {
        lock(&self.faults)
    }

    pub(crate) fn take_fault(&self, fits: impl Fn(&Fault) -> bool) -> Option<Fault> {
        self.faults().take(fits)
    }

    /// Changes the journal and wakes those who wait for it.
    pub(crate) fn record(&self, change: impl FnOnce(&mut Journal)) {
        change(&mut self.journal());
        self.changed.send_modify(|version| *version += 1);
    }
}

/// A panic elsewhere cannot leave these maps half changed, so a poisoned lock
/// is as good as any.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
