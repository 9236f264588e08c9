//! The time in a text: `${now}`, `${now:FORMAT}`, `${now+7:days:FORMAT}`.

use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// The time of the request, moved and formatted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Time {
    offset: TimeDelta,
    /// ISO 8601 with milliseconds when absent.
    format: Option<Box<[Token]>>,
}

/// A piece of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    /// As chrono spells it.
    Chrono(&'static str),
    /// Milliseconds since 1970.
    EpochMillis,
    Literal(Box<str>),
}

/// The tokens of a format (the browser library dayjs defined them), longest
/// first; all in UTC. Other characters stand for themselves, and so does what
/// is in square brackets.
const TOKENS: &[(&str, Token)] = &[
    ("YYYY", Token::Chrono("%Y")),
    ("MMMM", Token::Chrono("%B")),
    ("dddd", Token::Chrono("%A")),
    ("MMM", Token::Chrono("%b")),
    ("ddd", Token::Chrono("%a")),
    ("SSS", Token::Chrono("%3f")),
    ("YY", Token::Chrono("%y")),
    ("MM", Token::Chrono("%m")),
    ("DD", Token::Chrono("%d")),
    ("HH", Token::Chrono("%H")),
    ("hh", Token::Chrono("%I")),
    ("mm", Token::Chrono("%M")),
    ("ss", Token::Chrono("%S")),
    ("ZZ", Token::Chrono("%z")),
    ("M", Token::Chrono("%-m")),
    ("D", Token::Chrono("%-d")),
    ("H", Token::Chrono("%-H")),
    ("h", Token::Chrono("%-I")),
    ("m", Token::Chrono("%-M")),
    ("s", Token::Chrono("%-S")),
    ("Z", Token::Chrono("%:z")),
    ("A", Token::Chrono("%p")),
    ("a", Token::Chrono("%P")),
    ("X", Token::Chrono("%s")),
    ("x", Token::EpochMillis),
];

impl Time {
    /// What stands between `${` and `}`: nothing if it is not about the time,
    /// an error if it is and is malformed.
    pub(super) fn parse(text: &str) -> Option<Result<Self, ()>> {
        let rest = text.strip_prefix("now")?;
        let parsed = match rest.chars().next() {
            None => Some((TimeDelta::zero(), None)),
            Some(':') => Some((TimeDelta::zero(), Some(&rest[1..]))),
            Some('+' | '-') => moved(rest),
            Some(_) => return None,
        };
        let finish = |(offset, format): (TimeDelta, Option<&str>)| {
            let format = match format {
                None => None,
                Some("") => return None,
                Some(format) => Some(tokens(format)?),
            };
            Some(Self { offset, format })
        };
        Some(parsed.and_then(finish).ok_or(()))
    }

    pub(super) fn evaluate(&self, now: DateTime<Utc>) -> String {
        let time = now.checked_add_signed(self.offset).unwrap_or(now);
        let Some(tokens) = &self.format else {
            return time.to_rfc3339_opts(SecondsFormat::Millis, true);
        };
        let mut out = String::new();
        for token in tokens {
            // Writing to a String cannot fail, and every format is of `TOKENS`.
            let _ = match token {
                Token::Chrono(format) => write!(out, "{}", time.format(format)),
                Token::EpochMillis => write!(out, "{}", time.timestamp_millis()),
                Token::Literal(text) => out.write_str(text),
            };
        }
        out
    }
}

/// `+7:days` or `-5:minutes:FORMAT`.
fn moved(text: &str) -> Option<(TimeDelta, Option<&str>)> {
    let mut parts = text.splitn(3, ':');
    let count: i64 = parts.next()?.parse::<i32>().ok()?.into();
    let unit = parts.next()?;
    let offset = match unit.strip_suffix('s').unwrap_or(unit) {
        "second" => TimeDelta::try_seconds(count),
        "minute" => TimeDelta::try_minutes(count),
        "hour" => TimeDelta::try_hours(count),
        "day" => TimeDelta::try_days(count),
        "week" => TimeDelta::try_weeks(count),
        _ => None,
    };
    Some((offset?, parts.next()))
}

fn tokens(format: &str) -> Option<Box<[Token]>> {
    let mut tokens = Vec::new();
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        if first == '[' {
            let (literal, after) = rest[1..].split_once(']')?;
            tokens.push(Token::Literal(literal.into()));
            rest = after;
            continue;
        }
        let known = TOKENS.iter().find(|(name, _)| rest.starts_with(name));
        let length = match known {
            Some((name, token)) => {
                tokens.push(token.clone());
                name.len()
            }
            None => {
                let length = first.len_utf8();
                tokens.push(Token::Literal(rest[..length].into()));
                length
            }
        };
        rest = &rest[length..];
    }
    Some(tokens.into_boxed_slice())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_and_moves() {
        let now = DateTime::from_timestamp_millis(1_767_323_045_006).unwrap();
        for (text, expected) in [
            ("now", "2026-01-02T03:04:05.006Z"),
            ("now:YYYY-MM-DDTHH:mm:ss", "2026-01-02T03:04:05"),
            ("now:YYYYMMDDTHHmmss[Z]", "20260102T030405Z"),
            (
                "now:ddd, DD MMM YYYY HH:mm:ss ZZ",
                "Fri, 02 Jan 2026 03:04:05 +0000",
            ),
            (
                "now:D/M/YY h:m:s.SSS a A Z",
                "2/1/26 3:4:5.006 am AM +00:00",
            ),
            ("now:dddd MMMM", "Friday January"),
            ("now:X x", "1767323045 1767323045006"),
            ("now+7:days:YYYY-MM-DD", "2026-01-09"),
            ("now+1:minutes:X", "1767323105"),
            ("now-1:week", "2025-12-26T03:04:05.006Z"),
        ] {
            let time = Time::parse(text).unwrap().unwrap();
            assert_eq!(time.evaluate(now), expected, "{text}");
        }
        for text in ["nowadays", "then", "no"] {
            assert_eq!(Time::parse(text), None, "{text}");
        }
        for text in [
            "now:",
            "now+x:days",
            "now+1",
            "now+1:moons",
            "now+1:days:",
            "now:[YYYY",
            "now+99999999999:days",
        ] {
            assert_eq!(Time::parse(text), Some(Err(())), "{text}");
        }
        let far = Time::parse("now+2147483647:weeks:X").unwrap().unwrap();
        assert_eq!(
            far.evaluate(now),
            "1767323045",
            "past the calendar's end it stays"
        );
    }
}
