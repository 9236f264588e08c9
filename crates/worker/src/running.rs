//! What this worker runs just now.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use linkspan_jobs::Claimed;
use linkspan_jobs::lease::Held;

use crate::context::{End, Why};

/// What this worker holds, until it is settled.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    held: Mutex<HashMap<i64, Job>>,
    beat: Mutex<Option<Instant>>,
    missed: Mutex<Option<Instant>>,
    is_missing: AtomicBool,
}

#[derive(Debug)]
struct Job {
    fence: i64,
    end: End,
    since: Instant,
}

impl Jobs {
    fn locked(&self) -> std::sync::MutexGuard<'_, HashMap<i64, Job>> {
        // Nothing under this lock can leave the map half changed.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, job: &Claimed) -> End {
        let end = End::default();
        let entry = Job {
            fence: job.fence,
            end: end.clone(),
            since: Instant::now(),
        };
        // Taken from this worker, and claimed by it again before it has heard.
        if let Some(earlier) = self.locked().insert(job.id, entry) {
            earlier.end.tell(Why::Lost);
        }
        end
    }

    pub(crate) fn remove(&self, ids: impl Iterator<Item = (i64, i64)>) {
        let mut jobs = self.locked();
        for (id, fence) in ids {
            // The same job may have been claimed again meanwhile.
            if jobs.get(&id).is_some_and(|job| job.fence == fence) {
                jobs.remove(&id);
            }
        }
    }

    /// The lease counts from then.
    pub(crate) fn beat_at(&self, at: Instant) {
        let mut beat = self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        *beat = Some(at);
    }

    /// Whether the last try to renew the lease did so.
    pub(crate) fn beat_ended(&self, is_renewed: bool) {
        self.is_missing.store(!is_renewed, Ordering::SeqCst);
    }

    pub(crate) fn is_beat_missing(&self) -> bool {
        self.is_missing.load(Ordering::SeqCst)
    }

    /// The lease could not be renewed, or only after long: the database was away,
    /// perhaps for everybody.
    pub(crate) fn beat_missed(&self, now: Instant) {
        let mut missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        *missed = Some(now);
    }

    /// How long ago that was; none if it never was.
    pub(crate) fn since_missed(&self) -> Option<Duration> {
        let missed = self.missed.lock().unwrap_or_else(PoisonError::into_inner);
        missed.map(|at| at.elapsed())
    }

    /// How long ago the lease was renewed; none if it never was.
    pub(crate) fn since_beat(&self) -> Option<Duration> {
        let beat = self.beat.lock().unwrap_or_else(PoisonError::into_inner);
        beat.map(|at| at.elapsed())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.locked().is_empty()
    }

    pub(crate) fn end_all(&self, why: Why) {
        for job in self.locked().values() {
            job.end.tell(why);
        }
    }

    /// Compares with what the table said this worker holds, asked at `asked`:
    /// ends what somebody cancelled and what was lost. Returns what is held and
    /// not known here.
    pub(crate) fn compare(&self, held: &[Held], asked: Instant) -> Vec<Held> {
        let jobs = self.locked();
        let by_id: HashMap<i64, &Held> = held.iter().map(|held| (held.id, held)).collect();
        for (id, job) in jobs.iter() {
            let held = by_id.get(id).filter(|held| held.fence == job.fence);
            match held {
                Some(held) if held.cancel_requested => job.end.tell(Why::Cancelled),
                Some(_) => {}
                // It may have been claimed after the table was asked.
                None if job.since < asked => job.end.tell(Why::Lost),
                None => {}
            }
        }
        let unknown = held.iter().filter(|held| !jobs.contains_key(&held.id));
        unknown.copied().collect()
    }
}
