//! Kinds of job that this worker has met and does not know: another version's.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// No installation has so many kinds; what is beyond is put off each time it comes.
const MOST: usize = 1_000;

/// What was met, and what of it is left to others.
#[derive(Debug, Default)]
pub(crate) struct Foreign(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    met: BTreeSet<String>,
    left: Arc<[String]>,
}

impl Foreign {
    fn locked(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing under this lock can leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it is the first time.
    pub(crate) fn meet(&self, kind: &str) -> bool {
        let mut state = self.locked();
        state.met.len() < MOST && state.met.insert(kind.to_owned())
    }

    pub(crate) fn met(&self) -> Vec<String> {
        self.locked().met.iter().cloned().collect()
    }

    /// Those that somebody knows now. The others are claimed and put off, so that
    /// they do not stand before what this worker can do.
    pub(crate) fn leave(&self, known: Vec<String>) {
        self.locked().left = known.into();
    }

    pub(crate) fn left(&self) -> Arc<[String]> {
        Arc::clone(&self.locked().left)
    }
}
