//! How many connections callers may have open at once, so that files are left
//! for the database and for calls to APIs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use linkspan_shared::config::Config;
use rustix::process::{Resource, getrlimit};

use crate::occasionally::Occasionally;

/// Files for what is always open: the runtime, the listener, the log.
const OWN_FILES: usize = 64;
/// Without a limit of open files, memory sets one.
const MOST: usize = 50_000;
/// A limit of open files so low that this is more than it allows cannot be
/// served with anyhow.
const LEAST: usize = 16;

/// The places that callers' connections take.
#[derive(Debug)]
pub(crate) struct Slots {
    limit: usize,
    taken: AtomicUsize,
    full: Occasionally,
}

/// One place; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Slots>);

impl Slots {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            taken: AtomicUsize::new(0),
            full: Occasionally::default(),
        })
    }

    /// Places that are taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// Places that there are.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// Takes a place. The HTTP server stops accepting when the last is taken,
    /// so there always is one; here it is only counted and said.
    pub(crate) fn take(self: &Arc<Self>) -> Slot {
        let taken = self.taken.fetch_add(1, Ordering::Relaxed) + 1;
        if taken >= self.limit && self.full.is_due() {
            tracing::warn!(
                connections = taken,
                "callers have as many connections open as this process takes, and new ones wait \
                 until one closes; raise server.max_connections, and the limit of open files \
                 (ulimit -n, LimitNOFILE), or run more servers"
            );
        }
        Slot(Arc::clone(self))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many connections a configuration asks for, or the limit of open files
/// allows: three quarters of what the rest of the process leaves. Some callers are
/// pages that wait on websockets, and calls may need one more each to an API.
pub(crate) fn limit(config: &Config) -> usize {
    let files = getrlimit(Resource::Nofile).current;
    let files = files.and_then(|files| usize::try_from(files).ok());
    let allowed = within(files, config.database.max_connections);
    let asked = config.server.max_connections;
    if asked == 0 {
        return allowed;
    }
    if files.is_some_and(|files| asked >= files) {
        tracing::warn!(
            asked,
            allowed,
            limit = files,
            "server.max_connections is more than the limit of open files lets this process hold; \
             with no file left, new callers wait and calls to APIs and to the database fail: raise \
             the limit (ulimit -n, LimitNOFILE), or set server.max_connections to 0"
        );
    }
    asked
}

fn within(files: Option<usize>, database: usize) -> usize {
    let Some(files) = files else { return MOST };
    // Operation logs have a pool of their own, of the same size.
    let rest = files.saturating_sub(OWN_FILES).saturating_sub(2 * database);
    (rest / 4 * 3).clamp(LEAST, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_left_for_the_database_and_for_apis() {
        let cases = [
            (Some(1_024), 10, 705),
            (Some(256), 10, 129),
            (Some(20_000), 10, 14_937),
            (Some(1 << 30), 10, MOST),
            (Some(32), 10, LEAST),
            (None, 10, MOST),
        ];
        for (files, database, expected) in cases {
            assert_eq!(within(files, database), expected, "{files:?}");
        }
    }

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let slots = Slots::new(2);
        let (one, two) = (slots.take(), slots.take());
        drop(one);
        assert_eq!(slots.taken.load(Ordering::Relaxed), 1);
        drop(two);
        assert_eq!(slots.taken.load(Ordering::Relaxed), 0);
    }
}
