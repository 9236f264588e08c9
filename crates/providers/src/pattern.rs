//! Regular expressions that field values must match.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A regular expression in JavaScript's spelling, tested without anchors as
/// JavaScript's `test` does. Compiled on first use: a catalogue has hundreds,
/// of which a server needs a few.
#[derive(Clone)]
pub struct Pattern {
    source: Box<str>,
    compiled: OnceLock<Result<fancy_regex::Regex, String>>,
}

impl Pattern {
    /// A pattern, not yet compiled.
    #[must_use]
    pub fn new(source: &str) -> Self {
        Self {
            source: source.into(),
            compiled: OnceLock::new(),
        }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Compiles the pattern.
    ///
    /// # Errors
    /// What is malformed in it.
    pub fn check(&self) -> Result<(), String> {
        self.regex().map(drop)
    }

    /// Whether some part of `value` matches. A malformed pattern says nothing of
    /// any value: templates that have one are refused when they are read, but
    /// for those whose fault is known.
    ///
    /// # Errors
    /// The value makes the pattern backtrack without end.
    pub fn is_match(&self, value: &str) -> Result<bool, String> {
        let Ok(regex) = self.regex() else {
            return Ok(true);
        };
        regex
            .is_match(value)
            .map_err(|_| "is too complex to check".to_owned())
    }

    fn regex(&self) -> Result<&fancy_regex::Regex, String> {
        let compile = || fancy_regex::Regex::new(&self.source).map_err(|error| explain(&error));
        self.compiled
            .get_or_init(compile)
            .as_ref()
            .map_err(Clone::clone)
    }
}

/// What is wrong, in one line: of several, in which the pattern is quoted and the
/// place marked, the last one says it.
fn explain(error: &fancy_regex::Error) -> String {
    let fancy_regex::Error::CompileError(fancy_regex::CompileError::InnerError(inner)) = error
    else {
        return error.to_string();
    };
    let mut cause: &dyn std::error::Error = inner;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text = cause.to_string();
    let last = text.lines().last().unwrap_or(&text);
    last.trim_start_matches("error: ").to_owned()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.source == other.source
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.source)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let source = Cow::<'de, str>::deserialize(deserializer)?;
        Ok(Self::new(&source))
    }
}
