//! How many operations of an environment are stored, and which are counted
//! instead.
//!
//! A product that makes thousands of calls a second does not read a row for each
//! that went well, and Postgres takes as long to store it as the proxy takes for a
//! third of the call. So of each environment's plain successes (a proxied call that
//! was answered below 400, at the first try) a set number a second is stored, and
//! the others are added up. Everything else is always stored.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Kind, Level, Operation, Status};
use crate::tenancy::EnvironmentId;

/// Environments are spread over so many locks.
const SHARDS: usize = 16;
/// What may be stored at once after a rest: a second's worth, so that a few
/// hundred calls at once are all there to be read.
const BURST: Duration = Duration::from_secs(1);
/// From so many environments of a shard on, those at rest are forgotten.
const CROWD: usize = 1_000;

/// The budget of one process.
#[derive(Debug)]
pub(super) struct Budget {
    /// The time that each stored operation is worth, in nanoseconds; 0 stores
    /// all.
    step: u64,
    begun: Instant,
    shards: [Mutex<HashMap<EnvironmentId, Account>>; SHARDS],
}

/// What one environment has used.
#[derive(Debug, Default)]
struct Account {
    /// When its next operation would be due if they came evenly, in nanoseconds
    /// since the process began.
    due: u64,
    counts: HashMap<Counted, i64>,
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Counted {
    /// In which the operations began, since 1970.
    pub(super) minute: i64,
    /// The integration's key.
    pub(super) integration: String,
    /// The provider's slug.
    pub(super) provider: String,
}

/// So many plain successes of an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) environment: EnvironmentId,
    pub(super) counted: Counted,
    pub(super) successes: i64,
}

/// What becomes of an operation.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It is stored.
    Store(Operation),
    /// It was counted.
    Counted {
        /// Whether it is the first of its environment since they were drained.
        is_first: bool,
    },
}

impl Budget {
    pub(super) fn new(a_second: Option<NonZeroU32>) -> Self {
        let second = 1_000_000_000;
        Self {
            step: a_second.map_or(0, |many| second / u64::from(many.get())),
            begun: Instant::now(),
            shards: Default::default(),
        }
    }

    /// Decides on an operation. It takes one lock, which is hardly ever taken,
    /// and allocates nothing, but for the first of its kind in a minute.
    pub(super) fn decide(&self, operation: Operation) -> Outcome {
        if self.step == 0 || !is_plain_success(&operation) {
            return Outcome::Store(operation);
        }
        let now = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.decide_at(operation, now)
    }

    fn decide_at(&self, operation: Operation, now: u64) -> Outcome {
        let horizon = now.saturating_add(u64::try_from(BURST.as_nanos()).unwrap_or(u64::MAX));
        self.with_account(operation.environment_id, now, |account| {
            let next = account.due.max(now).saturating_add(self.step);
            if next > horizon {
                return account.count(operation);
            }
            account.due = next;
            Outcome::Store(operation)
        })
    }

    /// Counts an operation that cannot be stored, if it may be counted.
    pub(super) fn count(&self, operation: Operation) -> Option<Outcome> {
        let environment = operation.environment_id;
        is_plain_success(&operation)
            .then(|| self.with_account(environment, 0, |account| account.count(operation)))
    }

    fn with_account<T>(
        &self,
        environment: EnvironmentId,
        now: u64,
        act: impl FnOnce(&mut Account) -> T,
    ) -> T {
        // The last byte of a random UUID is random, and of one ordered by time too.
        let shard = usize::from(environment.0.as_bytes()[15]) % SHARDS;
        let mut accounts = self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if accounts.len() >= CROWD && !accounts.contains_key(&environment) {
            // One at rest is the same as a new one.
            accounts.retain(|_, account| account.due > now || !account.counts.is_empty());
        }
        act(accounts.entry(environment).or_default())
    }

    /// Takes what has been counted since the last time.
    pub(super) fn drain(&self) -> Vec<Count> {
        let mut drained = Vec::new();
        for shard in &self.shards {
            let mut accounts = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for (&environment, account) in accounts.iter_mut() {
                drained.extend(account.counts.drain().map(|(counted, successes)| Count {
                    environment,
                    counted,
                    successes,
                }));
            }
        }
        drained
    }
}

impl Account {
    fn count(&mut self, operation: Operation) -> Outcome {
        let is_first = self.counts.is_empty();
        // The texts are moved, not copied.
        let counted = Counted {
            minute: operation.created_at.timestamp().div_euclid(60),
            integration: operation.integration.unwrap_or_default(),
            provider: operation.provider.unwrap_or_default(),
        };
        *self.counts.entry(counted).or_default() += 1;
        Outcome::Counted { is_first }
    }
}

/// Whether an operation says nothing but that a call went as it should: what the
/// API answered is its only message.
fn is_plain_success(operation: &Operation) -> bool {
    operation.kind == Kind::Proxy
        && operation.status == Status::Success
        && operation.messages.len() <= 1
        && operation
            .messages
            .iter()
            .all(|message| message.level == Level::Info)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    const MS: u64 = 1_000_000;

    fn budget(a_second: u32) -> Budget {
        Budget::new(NonZeroU32::new(a_second))
    }

    fn call(environment: Uuid) -> Operation {
        let mut call = Operation::begin(EnvironmentId(environment), Kind::Proxy, "call")
            .about("crm", "demo", "c-1");
        call.say(Level::Info, "GET https://api.example.com answered 200");
        call
    }

    /// At which of these times a call is stored.
    fn stored(budget: &Budget, environment: Uuid, times: impl Iterator<Item = u64>) -> Vec<u64> {
        let is_stored = |at: &u64| {
            let outcome = budget.decide_at(call(environment), at * MS);
            matches!(outcome, Outcome::Store(_))
        };
        times.filter(is_stored).collect()
    }

    fn counted(budget: &Budget) -> i64 {
        budget.drain().iter().map(|count| count.successes).sum()
    }

    #[test]
    fn after_a_burst_the_stored_ones_are_spread_over_the_time() {
        let budget = budget(5);
        let environment = Uuid::new_v4();
        // A call each 10 ms for three seconds, of which 295 have to be left out.
        let stored = stored(&budget, environment, (0..3_000).step_by(10));
        let evenly: Vec<u64> = (0..15).map(|n| n * 200).filter(|at| *at > 0).collect();
        assert_eq!(stored[..5], [0, 10, 20, 30, 40], "a second's worth at once");
        assert_eq!(stored[5..], evenly);
        let left_out = 300 - i64::try_from(stored.len()).unwrap();
        assert_eq!(counted(&budget), left_out);
        assert_eq!(counted(&budget), 0, "what is drained is drained once");
    }

    #[test]
    fn a_rest_fills_the_budget_but_no_further() {
        let budget = budget(5);
        let environment = Uuid::new_v4();
        assert_eq!(stored(&budget, environment, [0; 9].into_iter()).len(), 5);
        assert_eq!(stored(&budget, environment, [400; 9].into_iter()).len(), 2);
        let late = [100_000; 9].into_iter();
        assert_eq!(stored(&budget, environment, late).len(), 5);
    }

    #[test]
    fn environments_do_not_share() {
        let budget = budget(5);
        let [one, other] = [Uuid::new_v4(), Uuid::new_v4()];
        stored(&budget, one, [0; 50].into_iter());
        assert_eq!(stored(&budget, other, [0; 5].into_iter()).len(), 5);
        let drained = budget.drain();
        assert!(drained.iter().all(|count| count.environment.0 == one));
    }

    #[test]
    fn only_plain_successes_are_left_out() {
        let budget = budget(1);
        let environment = Uuid::new_v4();
        stored(&budget, environment, [0; 2].into_iter());
        let mut failed = call(environment);
        failed.fail(None, "the API answered 500");
        let mut retried = call(environment);
        retried.messages[0].level = Level::Warn;
        let mut renewed = call(environment);
        renewed.say(Level::Info, "GET https://api.example.com answered 200");
        let made = Operation::begin(EnvironmentId(environment), Kind::Auth, "create");
        for operation in [failed, retried, renewed, made] {
            let outcome = budget.decide(operation.clone());
            assert!(matches!(outcome, Outcome::Store(_)), "{operation:?}");
            assert!(budget.count(operation).is_none());
        }
        let outcome = budget.decide(call(environment));
        assert!(matches!(outcome, Outcome::Counted { .. }), "{outcome:?}");
    }

    #[test]
    fn no_limit_stores_all() {
        let budget = Budget::new(None);
        let environment = Uuid::new_v4();
        for _ in 0..10_000 {
            assert!(matches!(
                budget.decide(call(environment)),
                Outcome::Store(_)
            ));
        }
        assert_eq!(counted(&budget), 0);
    }

    #[test]
    fn counts_are_by_minute_integration_and_provider() {
        let budget = budget(1);
        let environment = Uuid::new_v4();
        let mut first = call(environment);
        first.created_at = chrono::DateTime::from_timestamp(119, 0).unwrap();
        let mut later = first.clone();
        later.created_at = chrono::DateTime::from_timestamp(120, 0).unwrap();
        let other = later.clone().about("mail", "demo", "c-2");
        for operation in [&first, &first, &later, &other] {
            assert!(budget.count(operation.clone()).is_some());
        }
        let mut drained: Vec<_> = budget
            .drain()
            .into_iter()
            .map(|count| {
                (
                    count.counted.minute,
                    count.counted.integration,
                    count.successes,
                )
            })
            .collect();
        drained.sort();
        let row = |minute, integration: &str, count| (minute, integration.to_owned(), count);
        assert_eq!(
            drained,
            [row(1, "crm", 2), row(2, "crm", 1), row(2, "mail", 1)]
        );
    }

    #[test]
    fn environments_at_rest_are_forgotten_and_counts_are_not() {
        let budget = budget(1);
        assert!(budget.count(call(Uuid::new_v4())).is_some());
        let most = SHARDS * CROWD;
        for n in 0..3 * u64::try_from(most).unwrap() {
            // Each when the one before is at rest.
            budget.decide_at(call(Uuid::new_v4()), (n + 1) * 2_000 * MS);
        }
        let shards = budget.shards.iter();
        let kept: usize = shards.map(|shard| shard.lock().unwrap().len()).sum();
        assert!(kept <= most, "{kept}");
        assert_eq!(counted(&budget), 1);
    }
}
