//! When a schedule is due.

use std::str::FromStr as _;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use croner::Cron;
use croner::parser::{CronParser, Seconds};

/// Why a schedule's times cannot be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "\"{spec}\" is no schedule: {reason}; write \"every 30s\", \"every 5 minutes\", \
     \"every half hour\", \"every day\", or five or six fields of cron in UTC"
)]
pub struct SpecError {
    spec: String,
    reason: String,
}

/// When a schedule is due.
#[derive(Debug, Clone)]
pub enum Spec {
    /// Once in each interval.
    Every(Duration),
    /// By five or six fields of cron, in UTC.
    Cron(Box<Cron>),
}

/// Cron's times are spread over so much of the time to the next one.
const CRON_SPREAD: Duration = Duration::from_secs(60);
/// Ten years: beyond, sums of times might not fit.
const LONGEST: Duration = Duration::from_secs(3_650 * 86_400);

impl Spec {
    /// Reads "every …" or cron.
    ///
    /// # Errors
    /// When it is neither.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        let text = text.trim();
        let error = |reason: &str| SpecError {
            spec: text.to_owned(),
            reason: reason.to_owned(),
        };
        let lower = text.to_lowercase();
        if let Some(interval) = lower.strip_prefix("every") {
            return match interval_of(interval.trim()) {
                Some(interval) if interval.is_zero() => Err(error("its interval is zero")),
                Some(interval) if interval > LONGEST => {
                    Err(error("its interval is longer than ten years"))
                }
                Some(interval) => Ok(Self::Every(interval)),
                None => Err(error("the interval cannot be read")),
            };
        }
        let cron = CronParser::builder()
            .seconds(Seconds::Optional)
            .build()
            .parse(text)
            .map_err(|cause| error(&cause.to_string()))?;
        if cron.find_next_occurrence(&Utc::now(), false).is_err() {
            return Err(error("it is never due"));
        }
        Ok(Self::Cron(Box::new(cron)))
    }

    /// The interval, if it is one.
    #[must_use]
    pub const fn interval(&self) -> Option<Duration> {
        match self {
            Self::Every(interval) => Some(*interval),
            Self::Cron(_) => None,
        }
    }

    /// The first time after `now` at which the schedule with this id is due.
    #[must_use]
    pub fn next(&self, now: DateTime<Utc>, id: i64) -> DateTime<Utc> {
        let share = share_of(id);
        match self {
            Self::Every(interval) => {
                let step = i64::try_from(interval.as_micros())
                    .unwrap_or(i64::MAX)
                    .max(1);
                let phase = part(step, share);
                let passed = now.timestamp_micros() - phase;
                let next = passed
                    .div_euclid(step)
                    .saturating_add(1)
                    .saturating_mul(step)
                    + phase;
                DateTime::from_timestamp_micros(next).unwrap_or(DateTime::<Utc>::MAX_UTC)
            }
            Self::Cron(cron) => next_of_cron(cron, now, share),
        }
    }
}

/// The next time of cron, moved by this schedule's share of the spread, or of a
/// tenth of the time between two when that is less.
fn next_of_cron(cron: &Cron, now: DateTime<Utc>, share: u32) -> DateTime<Utc> {
    let never = DateTime::<Utc>::MAX_UTC;
    let spread = |at: DateTime<Utc>| {
        let gap = cron
            .find_next_occurrence(&at, false)
            .map_or(TimeDelta::MAX, |after| after - at);
        let longest = i64::try_from(CRON_SPREAD.as_micros()).unwrap_or(0);
        let width = (gap.num_microseconds().unwrap_or(i64::MAX) / 10).min(longest);
        at + TimeDelta::microseconds(part(width, share))
    };
    // The time before `now` may still be to come once it is moved.
    let longest = TimeDelta::from_std(CRON_SPREAD).unwrap_or_default();
    let mut from = now - longest;
    loop {
        let Ok(at) = cron.find_next_occurrence(&from, false) else {
            return never;
        };
        let moved = spread(at);
        if moved > now {
            return moved;
        }
        from = at;
    }
}

/// Where in an interval a schedule has its place: of 2^32, from its id. By the
/// golden ratio, which spreads ids that follow one another evenly.
fn share_of(id: i64) -> u32 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let mixed = u64::from_ne_bytes(id.to_ne_bytes()).wrapping_mul(GOLDEN);
    u32::try_from(mixed >> 32).unwrap_or(0)
}

/// That share of a length.
fn part(length: i64, share: u32) -> i64 {
    let part = (i128::from(length) * i128::from(share)) >> 32;
    i64::try_from(part).unwrap_or(0)
}

/// "30s", "5 minutes", "half hour", "hour", "1.5 hours" is none.
fn interval_of(text: &str) -> Option<Duration> {
    if let Some(unit) = text.strip_prefix("half ") {
        let unit = unit.trim().strip_prefix("an ").unwrap_or(unit.trim());
        return Some(seconds_of(unit)? / 2);
    }
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (count, unit) = text.split_at(digits);
    let count = match count {
        "" => 1,
        count => u32::from_str(count).ok()?,
    };
    seconds_of(unit.trim())?.checked_mul(count)
}

fn seconds_of(unit: &str) -> Option<Duration> {
    let seconds = match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => 1,
        "m" | "min" | "mins" | "minute" | "minutes" => 60,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3_600,
        "d" | "day" | "days" => 86_400,
        "w" | "week" | "weeks" => 7 * 86_400,
        "month" | "months" => 30 * 86_400,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(text: &str) -> Option<u64> {
        Some(Spec::parse(text).ok()?.interval()?.as_secs())
    }

    #[test]
    fn intervals_are_read_as_people_write_them() {
        assert_eq!(every("every 30s"), Some(30));
        assert_eq!(every("every 5 minutes"), Some(300));
        assert_eq!(every("every half hour"), Some(1_800));
        assert_eq!(every("Every Half Day"), Some(43_200));
        assert_eq!(every("every hour"), Some(3_600));
        assert_eq!(every(" every  1h "), Some(3_600));
        assert_eq!(every("every 2 weeks"), Some(1_209_600));
        assert_eq!(every("every day"), Some(86_400));
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_what_would_be_one() {
        for text in [
            "",
            "every",
            "every 0s",
            "every -5m",
            "every 5 parsecs",
            "every 99999999999h",
            "every 4000 days",
            "* * *",
            "61 * * * *",
            "hourly please",
            "0 0 31 2 *",
        ] {
            let error = Spec::parse(text).unwrap_err().to_string();
            assert!(error.contains("write \"every 30s\""), "{text}: {error}");
        }
    }

    #[test]
    fn a_thousand_schedules_of_one_interval_are_spread_over_it() {
        let spec = Spec::parse("every 5 minutes").unwrap();
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let mut in_second = std::collections::BTreeMap::<i64, usize>::new();
        for id in 1..=1_000 {
            let next = spec.next(now, id);
            assert!(next > now && next <= now + TimeDelta::minutes(5));
            assert_eq!(spec.next(next, id), next + TimeDelta::minutes(5));
            *in_second.entry(next.timestamp()).or_default() += 1;
        }
        assert!(in_second.len() > 290, "{} seconds used", in_second.len());
        assert!(in_second.values().max() <= Some(&8), "{in_second:?}");
    }

    #[test]
    fn cron_is_followed_within_its_first_minute() {
        let spec = Spec::parse("0 6 * * *").unwrap();
        let now = "2026-11-23T05:59:59Z".parse::<DateTime<Utc>>().unwrap();
        let six = "2026-11-23T06:00:00Z".parse::<DateTime<Utc>>().unwrap();
        for id in 1..200 {
            let next = spec.next(now, id);
            assert!(next >= six && next < six + TimeDelta::minutes(1), "{next}");
            // Its moved time is still to come when cron's own has passed.
            assert_eq!(spec.next(next - TimeDelta::microseconds(1), id), next);
            assert_eq!(spec.next(next, id), next + TimeDelta::days(1));
        }
    }
}
