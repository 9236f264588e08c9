//! What is counted of the core's work.

use std::time::Duration;

use metrics::{
    Counter, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use crate::db::Usage;

/// How a refresh may end, as [`Counted::outcome`] says it.
const REFRESHES: [&str; 4] = ["stored", "overtaken", "failed", "lost"];

/// The handles that every call uses.
#[derive(Debug, Clone)]
pub(crate) struct Meter {
    pub(crate) callers: Lookups,
    pub(crate) connections: Lookups,
}

/// Counts what a cache had and what it had not.
#[derive(Debug, Clone)]
pub(crate) struct Lookups {
    hits: Counter,
    misses: Counter,
}

impl Meter {
    pub(crate) fn new() -> Self {
        describe();
        for outcome in ["stored", "counted", "dropped", "failed"] {
            operations(outcome).increment(0);
        }
        Self {
            callers: Lookups::of("callers"),
            connections: Lookups::of("connections"),
        }
    }
}

impl Lookups {
    fn of(cache: &'static str) -> Self {
        let lookups = |result: &'static str| counter!("linkspan_cache_lookups_total", "cache" => cache, "result" => result);
        Self {
            hits: lookups("hit"),
            misses: lookups("miss"),
        }
    }

    pub(crate) fn count(&self, is_hit: bool) {
        match is_hit {
            true => self.hits.increment(1),
            false => self.misses.increment(1),
        }
    }
}

/// A refresh whose provider was asked; counted when this is dropped.
pub(crate) struct Counted {
    provider: String,
    /// One of [`REFRESHES`].
    pub(crate) outcome: &'static str,
}

impl Counted {
    /// The provider has answered, or not, after so long.
    pub(crate) fn new(provider: &str, took: Duration) -> Self {
        let name = "linkspan_token_refresh_duration_seconds";
        histogram!(name, "provider" => provider.to_owned()).record(took);
        Self {
            provider: provider.to_owned(),
            outcome: "failed",
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        for outcome in REFRESHES {
            // Those that did not happen are there from the first one on, so that
            // the first of them is a step from 0 and not the beginning of a line.
            refreshes(&self.provider, outcome).increment(u64::from(outcome == self.outcome));
        }
    }
}

fn refreshes(provider: &str, outcome: &'static str) -> Counter {
    let name = "linkspan_token_refreshes_total";
    counter!(name, "provider" => provider.to_owned(), "outcome" => outcome)
}

/// Operations of the log that ended so.
pub(crate) fn operations(outcome: &'static str) -> Counter {
    counter!("linkspan_log_operations_total", "outcome" => outcome)
}

/// Sets the gauges of a pool.
pub(crate) fn database(group: &'static str, usage: Usage) {
    let Usage {
        limit,
        open,
        idle,
        waiting,
    } = usage;
    gauge!("linkspan_database_connections", "group" => group).set(open as f64);
    gauge!("linkspan_database_connections_idle", "group" => group).set(idle as f64);
    gauge!("linkspan_database_connections_limit", "group" => group).set(limit as f64);
    gauge!("linkspan_database_waiting", "group" => group).set(waiting as f64);
}

fn describe() {
    describe_counter!(
        "linkspan_cache_lookups_total",
        "Look-ups in what is held in memory, by cache and by whether it had it."
    );
    describe_counter!(
        "linkspan_token_refreshes_total",
        "Refreshes of credentials that a provider was asked for, by provider and outcome."
    );
    describe_histogram!(
        "linkspan_token_refresh_duration_seconds",
        "How long a provider took to answer a refresh, in seconds."
    );
    describe_gauge!(
        "linkspan_token_refreshes_running",
        "Refreshes under way in this process."
    );
    describe_counter!(
        "linkspan_log_operations_total",
        "Operations of the log, by whether they were stored."
    );
    describe_gauge!(
        "linkspan_log_queue_length",
        "Operations that wait to be stored."
    );
    describe_gauge!(
        "linkspan_log_queue_limit",
        "Operations that may wait; further ones are dropped."
    );
    describe_gauge!(
        "linkspan_database_connections",
        "Connections that a pool has open."
    );
    describe_gauge!(
        "linkspan_database_connections_idle",
        "Open connections that nobody uses."
    );
    describe_gauge!(
        "linkspan_database_connections_limit",
        "Connections that a pool may have open."
    );
    describe_gauge!(
        "linkspan_database_waiting",
        "Callers who wait for a connection."
    );
}
