//! What is counted of calls. The handles of a provider are kept at its gate, so
//! that to count a call costs no look-up by name.

use std::time::Duration;

use metrics::{
    Counter, Histogram, counter, describe_counter, describe_gauge, describe_histogram, histogram,
};

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The API's answer was below 400, and came to its end.
    Success,
    /// It was 400 to 499.
    ClientError,
    /// It was 500 or above.
    ServerError,
    /// None came, or the API may not be called.
    Unanswered,
    /// It broke off.
    Broken,
    /// The caller left before its end.
    Abandoned,
    /// The provider had as many calls under way as it may.
    Saturated,
    /// It could not be made of what the connection and the caller gave.
    Refused,
}

/// The order of [`Outcome`].
const OUTCOMES: [&str; 8] = [
    "success",
    "client_error",
    "server_error",
    "unanswered",
    "broken",
    "abandoned",
    "saturated",
    "refused",
];

/// The provider of calls that ended before it was known.
pub(crate) const UNKNOWN: &str = "unknown";

/// The handles of a provider.
#[derive(Debug)]
pub(crate) struct CallMeter {
    calls: [Counter; OUTCOMES.len()],
    retries: Counter,
    upstream: Histogram,
}

impl CallMeter {
    pub(crate) fn new(provider: &str) -> Self {
        let provider = || provider.to_owned();
        let calls = |outcome: &'static str| {
            let name = "linkspan_proxy_calls_total";
            counter!(name, "provider" => provider(), "outcome" => outcome)
        };
        Self {
            calls: OUTCOMES.map(calls),
            retries: counter!("linkspan_proxy_retries_total", "provider" => provider()),
            upstream: histogram!(
                "linkspan_proxy_upstream_duration_seconds", "provider" => provider()
            ),
        }
    }

    pub(crate) fn ended(&self, outcome: Outcome) {
        if let Some(calls) = self.calls.get(outcome as usize) {
            calls.increment(1);
        }
    }

    pub(crate) fn retried(&self) {
        self.retries.increment(1);
    }

    /// The API took so long to begin its answer, or to give none.
    pub(crate) fn upstream(&self, took: Duration) {
        self.upstream.record(took);
    }
}

/// Says what the metrics of this crate mean.
pub(crate) fn describe() {
    describe_counter!(
        "linkspan_proxy_calls_total",
        "Proxied calls that have ended, by provider and outcome."
    );
    describe_counter!(
        "linkspan_proxy_retries_total",
        "Tries that were made after a first one, by provider."
    );
    describe_histogram!(
        "linkspan_proxy_upstream_duration_seconds",
        "From sending a try to the head of the API's answer or its failure, in seconds."
    );
    describe_gauge!(
        "linkspan_proxy_calls_running",
        "Calls under way, by provider."
    );
    describe_gauge!(
        "linkspan_proxy_calls_waiting",
        "Calls that wait for one of those to end, by provider."
    );
    describe_gauge!(
        "linkspan_proxy_calls_limit",
        "Calls to one provider that may be under way at once."
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_outcome_has_its_name() {
        for (outcome, name) in [
            (Outcome::Success, "success"),
            (Outcome::ClientError, "client_error"),
            (Outcome::ServerError, "server_error"),
            (Outcome::Unanswered, "unanswered"),
            (Outcome::Broken, "broken"),
            (Outcome::Abandoned, "abandoned"),
            (Outcome::Saturated, "saturated"),
            (Outcome::Refused, "refused"),
        ] {
            assert_eq!(OUTCOMES[outcome as usize], name);
        }
    }
}
