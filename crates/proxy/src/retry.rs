//! Whether a failed call is made again, and when (CONTRACT 2.7, "Retry").

use std::time::Duration;

use chrono::{DateTime, Utc};
use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, StatusCode};
use linkspan_net as net;
use linkspan_providers::{Retry, RetryInBody, RetryStrategy};

use crate::options::Options;

/// Longest time that all waits of one call take together. Who is told to wait
/// longer than what is left of it gets the failure at once.
const LONGEST: Duration = Duration::from_secs(600);
/// The first wait where nothing says how long; it doubles each time.
const FIRST: Duration = Duration::from_secs(3);

/// Failures of the network that are always worth another try.
const NETWORK_CODES: [&str; 6] = [
    "ECONNRESET",
    "ETIMEDOUT",
    "ECONNABORTED",
    "ECONNREFUSED",
    "EHOSTUNREACH",
    "EAI_AGAIN",
];

/// What came of one try.
#[derive(Clone, Copy)]
pub(crate) enum Outcome<'a> {
    Answer(StatusCode, &'a HeaderMap),
    Failure(&'a net::Error),
}

/// The retries of one call.
pub(crate) struct Retries<'a> {
    options: &'a Options,
    made: u32,
    waited: Duration,
}

impl<'a> Retries<'a> {
    pub(crate) fn new(options: &'a Options) -> Self {
        Self {
            options,
            made: 0,
            waited: Duration::ZERO,
        }
    }

    /// The rule by which the answer's body may say how long to wait, where there
    /// will be a try and nothing else says it.
    pub(crate) fn in_body<'r>(
        &self,
        outcome: Outcome<'_>,
        rules: Option<&'r Retry>,
        now: DateTime<Utc>,
    ) -> Option<&'r RetryInBody> {
        let rule = rules?.in_body.as_ref()?;
        let Outcome::Answer(_, headers) = outcome else {
            return None;
        };
        let is_open = self.is_next(outcome, rules) && asked(headers, rules, now).is_none();
        is_open.then_some(rule)
    }

    /// How long to wait before the next try, and counts that try; nothing if
    /// this outcome is the caller's. `rules` are the template's, and `told` is
    /// what the body says by them.
    pub(crate) fn next(
        &mut self,
        outcome: Outcome<'_>,
        rules: Option<&Retry>,
        told: Option<&str>,
        now: DateTime<Utc>,
    ) -> Option<Duration> {
        if !self.is_next(outcome, rules) {
            return None;
        }
        let asked = match outcome {
            Outcome::Answer(_, headers) => {
                asked(headers, rules, now).or_else(|| by_body(rules, told?, now))
            }
            Outcome::Failure(_) => None,
        };
        let wait = asked.unwrap_or_else(|| backoff(self.made));
        if self.waited.saturating_add(wait) > LONGEST {
            return None;
        }
        self.made += 1;
        self.waited += wait;
        Some(wait)
    }

    fn is_next(&self, outcome: Outcome<'_>, rules: Option<&Retry>) -> bool {
        self.made < self.options.retries && self.is_retryable(outcome, rules)
    }

    fn is_retryable(&self, outcome: Outcome<'_>, rules: Option<&Retry>) -> bool {
        let (status, headers) = match outcome {
            Outcome::Answer(status, headers) => (status, headers),
            Outcome::Failure(error) => {
                let code = error.network_code();
                return code.is_some_and(|code| NETWORK_CODES.contains(&code));
            }
        };
        if status.is_success() {
            return false;
        }
        let listed = rules
            .map(|rules| &rules.error_code)
            .filter(|codes| !codes.is_empty());
        let by_rule = match listed {
            Some(codes) => codes.iter().any(|code| covers(code, status)),
            None => status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
        };
        by_rule
            || self.options.retry_on.contains(&status.as_u16())
            || (is_error(status) && nothing_remains(headers, rules))
    }
}

fn is_error(status: StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

fn nothing_remains(headers: &HeaderMap, rules: Option<&Retry>) -> bool {
    let header = rules.and_then(|rules| rules.remaining.as_deref());
    header
        .and_then(|name| headers.get(name))
        .is_some_and(|value| value == "0")
}

/// Whether a template's `403`, `5xx` or `500-502` means this status.
fn covers(code: &str, status: StatusCode) -> bool {
    let status = status.as_u16();
    if let Some(class) = code.strip_suffix("xx") {
        return class.parse() == Ok(status / 100);
    }
    match code.split_once('-') {
        Some((first, last)) => {
            first.trim().parse().is_ok_and(|first: u16| first <= status)
                && last.trim().parse().is_ok_and(|last: u16| status <= last)
        }
        None => code.parse() == Ok(status),
    }
}

/// What the answer asks for: the longest of what the template's headers say,
/// else what `Retry-After` says (RFC 9110, 10.2.3).
fn asked(headers: &HeaderMap, rules: Option<&Retry>, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let by_rule = rules.and_then(|rules| {
        let at = rules.at.iter().filter_map(|name| until(text(name)?, now));
        let after = rules.after.iter().filter_map(|name| seconds(text(name)?));
        at.chain(after).max()
    });
    let standard: &HeaderName = &RETRY_AFTER;
    by_rule.or_else(|| {
        let text = text(standard.as_str())?;
        seconds(text).or_else(|| until(text, now))
    })
}

/// What the template's expression has found in the body.
fn by_body(rules: Option<&Retry>, told: &str, now: DateTime<Utc>) -> Option<Duration> {
    match rules?.in_body.as_ref()?.strategy {
        RetryStrategy::At => until(told, now),
        RetryStrategy::After => seconds(told),
    }
}

fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok()
}

/// The time until an instant that is still to come: a date, or the epoch's
/// seconds or milliseconds (which no date before the year 5138 confuses).
fn until(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let at = match text.parse::<f64>() {
        Ok(number) if number.is_finite() => {
            let millis = if number.abs() < 1e11 {
                number * 1000.0
            } else {
                number
            };
            DateTime::from_timestamp_millis(millis as i64)?
        }
        _ => date(text)?,
    };
    (at - now).to_std().ok().filter(|wait| !wait.is_zero())
}

fn date(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc2822(text)
        .or_else(|_| DateTime::parse_from_rfc3339(text))
        .ok()
        .map(|at| at.to_utc())
}

fn backoff(made: u32) -> Duration {
    FIRST
        .saturating_mul(2_u32.saturating_pow(made))
        .min(LONGEST)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn rules(yaml: &[(&str, &str)]) -> Retry {
        let list = |key: &str| {
            let found = yaml.iter().filter(|(name, _)| *name == key);
            found
                .map(|(_, value)| (*value).to_owned())
                .collect::<Vec<_>>()
        };
        Retry {
            at: list("at"),
            after: list("after"),
            remaining: list("remaining").pop(),
            error_code: list("error_code"),
            in_body: None,
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|&(name, value)| {
                (
                    HeaderName::from_static(name),
                    HeaderValue::from_static(value),
                )
            })
            .collect()
    }

    fn is_retried(status: u16, retry_on: &[u16], rules: Option<&Retry>, sent: &HeaderMap) -> bool {
        let options = Options {
            retries: 1,
            retry_on: retry_on.to_vec(),
            ..Options::default()
        };
        let status = StatusCode::from_u16(status).unwrap();
        Retries::new(&options)
            .next(Outcome::Answer(status, sent), rules, None, now())
            .is_some()
    }

    #[test]
    fn which_answers_are_retried() {
        let listed = rules(&[
            ("error_code", "403"),
            ("error_code", "500-502"),
            ("error_code", "6xx"),
        ]);
        let remaining = rules(&[("remaining", "x-left")]);
        let (none, zero, some) = (
            headers(&[]),
            headers(&[("x-left", "0")]),
            headers(&[("x-left", "10")]),
        );
        for (status, retry_on, rules, sent, expected) in [
            (200, &[][..], None, &none, false),
            (200, &[200], None, &none, false),
            (304, &[], None, &none, false),
            (400, &[], None, &none, false),
            (401, &[], None, &none, false),
            (401, &[401], None, &none, true),
            (429, &[], None, &none, true),
            (500, &[], None, &none, true),
            (599, &[], None, &none, true),
            (404, &[404, 409], None, &none, true),
            (403, &[], Some(&listed), &none, true),
            (501, &[], Some(&listed), &none, true),
            (503, &[], Some(&listed), &none, false),
            (429, &[], Some(&listed), &none, false),
            (503, &[503], Some(&listed), &none, true),
            (403, &[], Some(&remaining), &zero, true),
            (403, &[], Some(&remaining), &some, false),
            (403, &[], Some(&remaining), &none, false),
            (200, &[], Some(&remaining), &zero, false),
        ] {
            assert_eq!(
                is_retried(status, retry_on, rules, sent),
                expected,
                "{status} {retry_on:?}"
            );
        }
    }

    #[test]
    fn how_long_is_waited() {
        let own = rules(&[("at", "x-reset"), ("after", "x-wait"), ("after", "x-pause")]);
        let wait = |rules: Option<&Retry>, pairs: &[(&'static str, &'static str)]| {
            let options = Options {
                retries: 1,
                ..Options::default()
            };
            Retries::new(&options)
                .next(
                    Outcome::Answer(StatusCode::TOO_MANY_REQUESTS, &headers(pairs)),
                    rules,
                    None,
                    now(),
                )
                .map(|wait| wait.as_millis())
        };
        for (rules, pairs, expected) in [
            (None, &[][..], Some(3_000)),
            (None, &[("retry-after", "7")], Some(7_000)),
            (None, &[("retry-after", "0")], Some(0)),
            (
                None,
                &[("retry-after", "Tue, 14 Nov 2023 22:13:30 GMT")],
                Some(10_000),
            ),
            (
                None,
                &[("retry-after", "Tue, 14 Nov 2023 22:13:10 GMT")],
                Some(3_000),
            ),
            (None, &[("retry-after", "soon")], Some(3_000)),
            (None, &[("retry-after", "-5")], Some(3_000)),
            (None, &[("retry-after", "NaN")], Some(3_000)),
            (None, &[("retry-after", "600")], Some(600_000)),
            (None, &[("retry-after", "601")], None),
            (Some(&own), &[("x-reset", "1700000004")], Some(4_000)),
            (Some(&own), &[("x-reset", "1700000004500")], Some(4_500)),
            (
                Some(&own),
                &[("x-reset", "2023-11-14T22:13:25Z")],
                Some(5_000),
            ),
            (Some(&own), &[("x-reset", "1699999999")], Some(3_000)),
            (Some(&own), &[("x-reset", "1e300")], Some(3_000)),
            (
                Some(&own),
                &[("x-wait", "0.5"), ("x-pause", "2")],
                Some(2_000),
            ),
            (
                Some(&own),
                &[("x-wait", "1"), ("x-reset", "1700000009")],
                Some(9_000),
            ),
            (
                Some(&own),
                &[("x-wait", "1"), ("retry-after", "8")],
                Some(1_000),
            ),
            (Some(&own), &[("retry-after", "8")], Some(8_000)),
        ] {
            assert_eq!(wait(rules, pairs), expected, "{pairs:?}");
        }
    }

    #[test]
    fn the_body_is_asked_last_and_only_for_a_try() {
        let options = Options {
            retries: 1,
            ..Options::default()
        };
        let (none, header) = (headers(&[]), headers(&[("retry-after", "7")]));
        let rules = |strategy| Retry {
            in_body: Some(RetryInBody {
                path: "error".to_owned(),
                value: "/(.+)/".to_owned(),
                strategy,
            }),
            ..Retry::default()
        };
        let at = rules(RetryStrategy::At);
        let asks = |status, headers| {
            let outcome = Outcome::Answer(status, headers);
            Retries::new(&options)
                .in_body(outcome, Some(&at), now())
                .is_some()
        };
        assert!(asks(StatusCode::TOO_MANY_REQUESTS, &none));
        assert!(!asks(StatusCode::TOO_MANY_REQUESTS, &header));
        assert!(!asks(StatusCode::NOT_FOUND, &none));

        for (strategy, told, sent, expected) in [
            (RetryStrategy::At, Some("2023-11-14T22:13:25Z"), &none, 5),
            (RetryStrategy::At, Some("1700000009"), &none, 9),
            (RetryStrategy::After, Some("2"), &none, 2),
            (RetryStrategy::After, Some("2"), &header, 7),
            (RetryStrategy::After, Some("soon"), &none, 3),
            (RetryStrategy::After, None, &none, 3),
        ] {
            let outcome = Outcome::Answer(StatusCode::TOO_MANY_REQUESTS, sent);
            let wait = Retries::new(&options).next(outcome, Some(&rules(strategy)), told, now());
            assert_eq!(wait, Some(Duration::from_secs(expected)), "{told:?}");
        }
    }

    #[test]
    fn waits_double_and_end_with_the_retries_or_the_time() {
        let run = |retries| {
            let options = Options {
                retries,
                ..Options::default()
            };
            let mut retries = Retries::new(&options);
            let none = headers(&[]);
            let next = || {
                let outcome = Outcome::Answer(StatusCode::BAD_GATEWAY, &none);
                retries
                    .next(outcome, None, None, now())
                    .map(|wait| wait.as_secs())
            };
            std::iter::from_fn(next).collect::<Vec<_>>()
        };
        assert!(run(0).is_empty());
        assert_eq!(run(3), [3, 6, 12]);
        assert_eq!(run(20), [3, 6, 12, 24, 48, 96, 192]);
    }

    #[test]
    fn which_failures_are_retried() {
        let host = || "api.example.com".to_owned();
        let options = Options {
            retries: 1,
            ..Options::default()
        };
        let is_retried = |error: &net::Error| {
            Retries::new(&options)
                .next(Outcome::Failure(error), None, None, now())
                .is_some()
        };
        let connect = |kind| net::Error::Connect { host: host(), kind };
        assert!(is_retried(&net::Error::Reset { host: host() }));
        assert!(is_retried(&net::Error::TimeoutConnect { host: host() }));
        assert!(is_retried(&net::Error::Dns {
            host: host(),
            temporary: true
        }));
        assert!(is_retried(&connect(std::io::ErrorKind::ConnectionRefused)));
        assert!(!is_retried(&net::Error::Dns {
            host: host(),
            temporary: false
        }));
        assert!(!is_retried(&connect(std::io::ErrorKind::PermissionDenied)));
        assert!(!is_retried(&net::Error::TooManyRedirects { max: 5 }));
        assert!(!is_retried(&net::Error::InvalidUrl { reason: "x" }));
    }
}
