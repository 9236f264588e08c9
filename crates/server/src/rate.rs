//! How often one environment may call. Each server process counts what it
//! answers itself.

use std::num::NonZeroU32;
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
use linkspan_shared::tenancy::EnvironmentId;

use crate::error::Failure;

const LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

type Limiter = RateLimiter<
    EnvironmentId,
    DashMapStateStore<EnvironmentId>,
    DefaultClock,
    StateInformationMiddleware,
>;

/// Counts the calls of each environment.
#[derive(Debug)]
pub(crate) struct RateLimit {
    limiter: Option<(NonZeroU32, Limiter)>,
}

/// What is left of an environment's allowance after a call.
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
    /// Answers so many calls of each environment in a minute, which may come at
    /// once; all of them without a number.
    pub(crate) fn per_minute(calls: Option<NonZeroU32>) -> Self {
        let limiter = calls.map(|calls| {
            let limiter = RateLimiter::dashmap(Quota::per_minute(calls));
            (
                calls,
                limiter.with_middleware::<StateInformationMiddleware>(),
            )
        });
        Self { limiter }
    }

    /// Counts a call of the environment, and leaves what is left for
    /// [`headers`].
    pub(crate) fn count(
        &self,
        request: &HttpRequest,
        environment: EnvironmentId,
    ) -> Result<(), Failure> {
        let Some(allowance) = self.take(environment) else {
            return Ok(());
        };
        request.extensions_mut().insert(allowance);
        match allowance.wait {
            Some(_) => Err(Failure::of(ErrorCode::TooManyRequest)),
            None => Ok(()),
        }
    }

    fn take(&self, environment: EnvironmentId) -> Option<Allowance> {
        let (calls, limiter) = self.limiter.as_ref()?;
        let limit = calls.get();
        Some(match limiter.check_key(&environment) {
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
        })
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
/// and with 429 `retry-after` in seconds. Those of a proxied API give way.
pub(crate) async fn headers<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let mut response = next.call(request).await?;
    let allowance = response.request().extensions().get::<Allowance>().copied();
    if let Some(allowance) = allowance {
        allowance.write(response.headers_mut());
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn environment(n: u128) -> EnvironmentId {
        EnvironmentId(Uuid::from_u128(n))
    }

    #[test]
    fn each_environment_has_an_allowance_of_its_own() {
        let limit = RateLimit::per_minute(NonZeroU32::new(2));
        let remaining = |n| {
            limit
                .take(environment(n))
                .map(|left| (left.remaining, left.wait.is_some()))
        };
        assert_eq!(remaining(1), Some((1, false)));
        assert_eq!(remaining(1), Some((0, false)));
        assert_eq!(remaining(1), Some((0, true)));
        assert_eq!(remaining(2), Some((1, false)));
        let refused = limit.take(environment(1)).unwrap();
        assert!(
            refused.wait.unwrap() <= Duration::from_secs(30),
            "{refused:?}"
        );
        assert_eq!(refused.until_full(), Duration::from_secs(60));
    }

    #[test]
    fn without_a_number_nothing_is_counted() {
        let limit = RateLimit::per_minute(None);
        assert_eq!(limit.take(environment(1)), None);
    }
}
