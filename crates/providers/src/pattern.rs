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

    /// Whether some part of `value` matches.
    ///
    /// # Errors
    /// The pattern is malformed, or the value makes it backtrack without end.
    pub fn is_match(&self, value: &str) -> Result<bool, String> {
        let compile = || {
            fancy_regex::Regex::new(&self.source)
                .map_err(|error| format!("has a bad pattern: {error}"))
        };
        let regex = self
            .compiled
            .get_or_init(compile)
            .as_ref()
            .map_err(Clone::clone)?;
        regex
            .is_match(value)
            .map_err(|_| "is too complex to check".to_owned())
    }
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
