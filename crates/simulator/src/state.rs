//! What all handlers of one simulator share.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use url::Url;

use crate::faults::{Fault, FaultQueue};
use crate::grants::Grants;
use crate::items::Items;
use crate::journal::Journal;
use crate::settings::Settings;
use crate::state_file;
use crate::tickets::Tickets;

/// One simulator's memory. Every lock is held for a few map operations (and
/// the writing of the state file, where there is one), never across an await.
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
    pub(crate) fn new(settings: Settings, base_url: Url) -> io::Result<Self> {
        let life = settings.access_token_life;
        let grants = match &settings.state_file {
            Some(path) => state_file::read(path, life)?,
            None => Grants::new(life),
        };
        Ok(Self {
            grants: Mutex::new(grants),
            tickets: Mutex::default(),
            items: Mutex::new(Items::initial()),
            journal: Mutex::default(),
            faults: Mutex::default(),
            clock_ahead: Mutex::default(),
            changed: watch::Sender::new(0),
            settings,
            base_url,
        })
    }

    /// The provider's time, which tests may put forward.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        let ahead = *lock(&self.clock_ahead);
        Utc::now() + ahead
    }

    pub(crate) fn advance(&self, by: Duration) {
        *lock(&self.clock_ahead) += by;
    }

    pub(crate) fn grants(&self) -> MutexGuard<'_, Grants> {
        lock(&self.grants)
    }

    /// Changes the grants, and keeps them in the state file before anybody
    /// hears of the change.
    pub(crate) fn change_grants<T>(&self, change: impl FnOnce(&mut Grants) -> T) -> T {
        let mut grants = self.grants();
        let outcome = change(&mut grants);
        if let Some(path) = &self.settings.state_file
            && let Err(error) = state_file::write(path, &grants)
        {
            // This run can go on; only the next one has something to miss.
            tracing::warn!(%error, "the demo provider's grants will not survive a restart");
        }
        outcome
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
