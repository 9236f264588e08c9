//! How often one may call. Each server process counts what it answers itself.
//!
//! Calls by API key count for their environment. A browser's count twice: for
//! the one that calls, by its connect session or, with a public key, by its
//! address; and for all browsers of the environment together, apart from its
//! API keys, so that no end user can use up what the product's backend needs.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use actix_web::middleware::Next;
use actix_web::{Error, HttpRequest};
use chrono::Utc;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use linkspan_api::ErrorCode;
use linkspan_shared::config;
use linkspan_shared::connect_sessions::ConnectSession;
use linkspan_shared::tenancy::EnvironmentId;
use uuid::Uuid;

use crate::callers::{Callers, Network};
use crate::error::Failure;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// The headers of [`headers`], which pages of other origins may read.
pub(crate) const SHOWN: [HeaderName; 4] = [LIMIT, REMAINING, RESET, RETRY_AFTER];

/// Counts calls.
#[derive(Debug)]
pub(crate) struct RateLimit {
    environments: Option<Counter<Environment>>,
    browsers: Option<Counter<Browser>>,
    callers: Callers,
    refused: Refused,
}

/// How many calls were refused, by whose allowance was used up.
#[derive(Debug)]
struct Refused {
    environments: metrics::Counter,
    browsers: metrics::Counter,
}

/// Those who share an environment's allowance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Environment {
    Keys(EnvironmentId),
    Browsers(EnvironmentId),
}

/// One browser, as far as it can be told from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Browser {
    Session(Uuid),
    Network(Network),
}

/// What is left of an allowance after a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Allowance {
    /// Calls a minute.
    limit: u32,
    /// Calls that would be answered now.
    remaining: u32,
    /// How long a refused caller waits for its next call.
    wait: Option<Duration>,
}

impl RateLimit {
    pub(crate) fn new(limits: &config::Limits, callers: Callers) -> Self {
        Self {
            environments: limits.requests_per_minute.map(Counter::per_minute),
            browsers: limits.browser_requests_per_minute.map(Counter::per_minute),
            callers,
            refused: Refused {
                environments: refused("environment"),
                browsers: refused("browser"),
            },
        }
    }

    /// Counts a call by API key, and leaves what is left for [`headers`].
    pub(crate) fn count(
        &self,
        request: &HttpRequest,
        environment: EnvironmentId,
    ) -> Result<(), Failure> {
        self.count_for(request, Environment::Keys(environment))
    }

    /// Counts a browser's call with a connect session.
    pub(crate) fn count_session(
        &self,
        request: &HttpRequest,
        session: &ConnectSession,
    ) -> Result<(), Failure> {
        self.count_browser(request, Browser::Session(session.id))?;
        self.count_for(request, Environment::Browsers(session.environment_id))
    }

    /// Counts a call with a public key, before it is known whose that is.
    pub(crate) fn count_address(&self, request: &HttpRequest) -> Result<(), Failure> {
        match self.callers.of(request) {
            Some(network) => self.count_browser(request, Browser::Network(network)),
            None => Ok(()),
        }
    }

    /// Counts a call with an environment's public key.
    pub(crate) fn count_public(
        &self,
        request: &HttpRequest,
        environment: EnvironmentId,
    ) -> Result<(), Failure> {
        self.count_for(request, Environment::Browsers(environment))
    }

    fn count_for(&self, request: &HttpRequest, who: Environment) -> Result<(), Failure> {
        let Some(counter) = &self.environments else {
            return Ok(());
        };
        leave(
            request,
            counter.take(&who),
            ErrorCode::TooManyRequest.meaning(),
            &self.refused.environments,
        )
    }

    fn count_browser(&self, request: &HttpRequest, who: Browser) -> Result<(), Failure> {
        let Some(counter) = &self.browsers else {
            return Ok(());
        };
        let reason = "This browser calls more often than this server allows; \
                      wait for as many seconds as Retry-After says.";
        leave(request, counter.take(&who), reason, &self.refused.browsers)
    }
}

fn refused(by: &'static str) -> metrics::Counter {
    metrics::counter!("linkspan_http_rate_limited_total", "allowance" => by)
}

/// Leaves an allowance for [`headers`]. Of two the one stays that has less left.
fn leave(
    request: &HttpRequest,
    allowance: Allowance,
    reason: &str,
    refused: &metrics::Counter,
) -> Result<(), Failure> {
    let mut extensions = request.extensions_mut();
    let before = extensions.get::<Allowance>().map(|left| left.remaining);
    if before.is_none_or(|before| allowance.remaining <= before) {
        extensions.insert(allowance);
    }
    match allowance.wait {
        Some(_) => {
            refused.increment(1);
            Err(Failure::new(ErrorCode::TooManyRequest, reason))
        }
        None => Ok(()),
    }
}

/// After so many calls, those who have not called for long are forgotten.
const FORGET_AFTER: u32 = 8_192;

/// Counts the calls of many, each for itself.
#[derive(Debug)]
struct Counter<K: Hash + Eq + Clone> {
    calls: NonZeroU32,
    limiter: RateLimiter<K, DashMapStateStore<K>, DefaultClock, StateInformationMiddleware>,
    counted: AtomicU32,
}

impl<K: Hash + Eq + Clone> Counter<K> {
    /// Answers so many calls of each in a minute, which may come at once.
    fn per_minute(calls: NonZeroU32) -> Self {
        let limiter = RateLimiter::dashmap(Quota::per_minute(calls));
        Self {
            calls,
            limiter: limiter.with_middleware::<StateInformationMiddleware>(),
            counted: AtomicU32::new(0),
        }
    }

    fn take(&self, who: &K) -> Allowance {
        let counted = self.counted.fetch_add(1, Ordering::Relaxed);
        if counted % FORGET_AFTER == FORGET_AFTER - 1 {
            // Browsers come and go: memory is for those of the last minute.
            self.limiter.retain_recent();
        }
        let limit = self.calls.get();
        match self.limiter.check_key(who) {
            Ok(state) => Allowance {
                limit,
                remaining: state.remaining_burst_capacity(),
                wait: None,
            },
            Err(refused) => Allowance {
                limit,
                remaining: 0,
                wait: Some(refused.wait_time_from(DefaultClock::default().now())),
            },
        }
    }
}

impl Allowance {
    /// How long until the whole allowance is there again, if nothing calls.
    fn until_full(&self) -> Duration {
        let spent = u64::from(self.limit - self.remaining.min(self.limit));
        Duration::from_millis(spent * 60_000 / u64::from(self.limit.max(1)))
    }

    fn write(&self, headers: &mut HeaderMap) {
        let full_at = Utc::now() + self.until_full();
        headers.insert(LIMIT, self.limit.into());
        headers.insert(REMAINING, self.remaining.into());
        headers.insert(RESET, full_at.timestamp().into());
        if let Some(wait) = self.wait {
            // Rounded up: a caller that comes earlier is refused again.
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
    }
}

/// Tells each caller what is left: `x-ratelimit-limit` in calls a minute,
/// `x-ratelimit-remaining` in calls, `x-ratelimit-reset` in seconds since 1970,
/// and with 429 `retry-after` in seconds. Where a proxied API says how often it
/// may be called, that is what the caller is told.
pub(crate) async fn headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    let allowance = response.request().extensions().get::<Allowance>().copied();
    let theirs = [LIMIT, REMAINING, RESET];
    let is_told = theirs
        .iter()
        .any(|name| response.headers().contains_key(name));
    if let Some(allowance) = allowance
        && !is_told
    {
        allowance.write(response.headers_mut());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(calls: u32) -> Counter<Uuid> {
        Counter::per_minute(NonZeroU32::new(calls).unwrap())
    }

    #[test]
    fn each_has_an_allowance_of_its_own() {
        let counter = counter(2);
        let remaining = |n| {
            let left = counter.take(&Uuid::from_u128(n));
            (left.remaining, left.wait.is_some())
        };
        assert_eq!(remaining(1), (1, false));
        assert_eq!(remaining(1), (0, false));
        assert_eq!(remaining(1), (0, true));
        assert_eq!(remaining(2), (1, false));
        let refused = counter.take(&Uuid::from_u128(1));
        assert!(
            refused.wait.unwrap() <= Duration::from_secs(30),
            "{refused:?}"
        );
        assert_eq!(refused.until_full(), Duration::from_secs(60));
    }

    #[test]
    fn those_who_do_not_come_back_are_forgotten() {
        // Each one's allowance is whole again after a sixty-millionth minute.
        let counter = counter(60_000_000);
        for n in 0..4 * u128::from(FORGET_AFTER) {
            counter.take(&Uuid::from_u128(n));
        }
        let kept = counter.limiter.len();
        assert!(kept < 2 * FORGET_AFTER as usize, "{kept} are kept");
    }
}
