//! Typed reading of settings that goes on after a problem, so that all
//! problems are found at once.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use secrecy::SecretString;

use super::error::Problem;
use super::layers::{Layers, Origin, Setting};
use super::value::Value;

/// Reads settings. A getter that finds a problem notes it and answers `None`.
pub(super) struct Reader {
    settings: Vec<Setting>,
    problems: Vec<Problem>,
}

impl Reader {
    pub(super) fn new(layers: Layers) -> Self {
        Self {
            settings: layers.settings,
            problems: layers.problems,
        }
    }

    pub(super) fn finish(self) -> (Vec<Setting>, Vec<Problem>) {
        (self.settings, self.problems)
    }

    fn setting(&self, key: &str) -> Option<&Setting> {
        self.settings.iter().find(|setting| setting.path == key)
    }

    /// Notes that a setting is not usable, in words that stand by themselves.
    pub(super) fn refuse(&mut self, key: &str, message: impl Display) {
        let origin = self.setting(key).map_or(&Origin::Default, |s| &s.origin);
        let problem = Problem::new(key, origin, message.to_string());
        self.problems.push(problem);
    }

    /// Notes that a setting "must be …", and, unless it is a secret, what it
    /// is instead.
    pub(super) fn expected(&mut self, key: &str, what: impl Display) {
        match self.setting(key).filter(|setting| !setting.is_secret()) {
            Some(setting) => {
                let message = format!("must be {what}, not {}", setting.shown());
                self.refuse(key, message);
            }
            None => self.refuse(key, format!("must be {what}")),
        }
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        match self.setting(key).map(|setting| &setting.value) {
            Some(Value::Text(text)) => Some(text.clone()),
            _ => self.absent(key),
        }
    }

    pub(super) fn list(&mut self, key: &str) -> Option<Vec<String>> {
        match self.setting(key).map(|setting| &setting.value) {
            Some(Value::List(items)) => Some(items.clone()),
            _ => self.absent(key),
        }
    }

    /// A number within `range`.
    pub(super) fn number<T: TryFrom<i64>>(
        &mut self,
        key: &str,
        range: RangeInclusive<i64>,
    ) -> Option<T> {
        let Some(Value::Number(number)) = self.setting(key).map(|setting| &setting.value) else {
            return self.absent(key);
        };
        let fitting = Some(*number).filter(|number| range.contains(number));
        let value = fitting.and_then(|number| T::try_from(number).ok());
        if value.is_none() {
            let what = format!("between {} and {}", range.start(), range.end());
            self.expected(key, what);
        }
        value
    }

    pub(super) fn millis(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<Duration> {
        self.number(key, range).map(Duration::from_millis)
    }

    pub(super) fn seconds(&mut self, key: &str, range: RangeInclusive<i64>) -> Option<Duration> {
        self.number(key, range).map(Duration::from_secs)
    }

    /// A text that `T` can be parsed from; `expected` completes "must be …".
    pub(super) fn parsed<T: FromStr>(&mut self, key: &str, expected: &str) -> Option<T> {
        let value = self.text(key)?.parse().ok();
        if value.is_none() {
            self.expected(key, expected);
        }
        value
    }

    /// A Postgres URL; the inner `None` is an empty text.
    pub(super) fn postgres(&mut self, key: &str) -> Option<Option<SecretString>> {
        let url = self.text(key)?;
        if url.is_empty() {
            return Some(None);
        }
        let scheme = url.starts_with("postgres://") || url.starts_with("postgresql://");
        // The parser's own message may quote the URL, which has a password.
        if !scheme || url.parse::<tokio_postgres::Config>().is_err() {
            self.expected(
                key,
                "a URL such as postgres://user:password@host:5432/name, \
                 with what is special in the password percent-encoded",
            );
            return None;
        }
        Some(Some(SecretString::from(url)))
    }

    /// The code asks for a setting that the defaults file lacks, or has as
    /// another kind; a test of this crate keeps that from happening.
    fn absent<T>(&mut self, key: &str) -> Option<T> {
        self.expected(key, "in the defaults file, of the right kind");
        None
    }
}
