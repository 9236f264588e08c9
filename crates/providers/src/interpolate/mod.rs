//! Texts with placeholders, such as
//! `https://${connectionConfig.subdomain}.example.com || https://api.example.com`.
//!
//! A text is parsed once into a tree. Its grammar (CONTRACT, "Interpolation
//! grammar"):
//!
//! ```text
//! text        = sequence (" || " sequence)*      only if it has a placeholder
//! sequence    = (literal | placeholder)*
//! placeholder = "${" path "}" | "${" time "}" | "${" function "(" arguments ")}"
//! path        = root "." key | name              roots and names: see `Path`
//! time        = "now" [("+" | "-") count ":" unit] [":" format]
//! unit        = "seconds" | "minutes" | "hours" | "days" | "weeks"
//! arguments   = sequence ("," sequence)*         how many: see `Function`
//! ```
//!
//! The first alternative that resolves is taken. An unknown root, name or
//! function is an error when the template is loaded.

mod function;
mod node;
mod parse;
mod time;
mod url;

use std::borrow::Cow;
use std::marker::PhantomData;
use std::{fmt, str};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

pub use function::Function;
use node::Node;
pub use node::{Path, Root};
pub use parse::{ParseError, Problem};
pub use url::{UrlError, UrlText};

/// Where a placeholder's value comes from.
pub trait Scope {
    /// The value of `path`, or nothing if it is not set.
    fn lookup(&self, path: &Path) -> Option<Cow<'_, str>>;

    /// The time of the request, the same whenever it is asked for.
    fn now(&self) -> Option<DateTime<Utc>> {
        None
    }

    /// The value of a function that takes cryptography.
    ///
    /// # Errors
    /// [`CallError`].
    fn call(&self, function: Function, arguments: &[String]) -> Result<String, CallError> {
        let _ = (function, arguments);
        Err(CallError::Unsupported)
    }
}

/// A function has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallError {
    /// It cannot be computed in this scope.
    Unsupported,
    /// Not of these arguments; says why, without showing them.
    Failed(String),
}

/// A text has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// A placeholder has no value. The caller decides what that means: a header
    /// is dropped, a URL is an error.
    #[error("`{path}` is not set")]
    Unset {
        /// The path as the template spells it, for example `connectionConfig.region`.
        path: String,
    },
    /// A function cannot be computed here. Never to be taken for an unset value:
    /// what it signs must not be sent without it.
    #[error("function `{}` cannot be computed here", function.as_str())]
    Unsupported {
        /// Which one.
        function: Function,
    },
    /// A function cannot be computed of the values that it got. Like
    /// [`Self::Unsupported`], never to be taken for an unset value.
    #[error("function `{}` failed: {reason}", function.as_str())]
    Failed {
        /// Which one.
        function: Function,
        /// Why, without the values.
        reason: String,
    },
}

/// A text with placeholders, parsed.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    source: Box<str>,
    alternatives: Box<[Box<[Node]>]>,
    uses: Uses,
}

/// What a text needs to know of the request that it is evaluated for, in any of
/// its alternatives.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Uses {
    /// The body: it must be there, whole.
    pub body: bool,
    /// All other headers: it signs them.
    pub headers: bool,
}

impl Text {
    /// Parses a text. One without `${` stands for itself.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong and at which character.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        let alternatives = parse::alternatives(source)?;
        let mut uses = Uses::default();
        for nodes in &alternatives {
            node::uses(nodes, &mut uses);
        }
        Ok(Self {
            source: source.into(),
            alternatives,
            uses,
        })
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// What its placeholders name, in all its alternatives.
    #[must_use]
    pub fn paths(&self) -> Vec<&Path> {
        let mut found = Vec::new();
        for nodes in &self.alternatives {
            node::paths(nodes, &mut found);
        }
        found
    }

    /// What it needs to know of the request.
    #[must_use]
    pub fn uses(&self) -> Uses {
        self.uses
    }

    /// Replaces every placeholder by its value. An empty value counts as set,
    /// except where a later alternative can stand in for it.
    ///
    /// # Errors
    /// [`Unresolved`] names the first path without a value in the first
    /// alternative, when no alternative resolves; or the function that cannot be
    /// computed, for which no later alternative stands in.
    pub fn evaluate<S: Scope + ?Sized>(&self, scope: &S) -> Result<String, Unresolved> {
        first_resolved(&self.alternatives, |nodes, is_last| {
            let mut out = String::with_capacity(self.source.len() + 32);
            node::write(nodes, scope, is_last, &mut out)?;
            Ok(out)
        })
    }
}

/// The first alternative that resolves, or the first one's error.
fn first_resolved<A, T>(
    alternatives: &[A],
    mut evaluate: impl FnMut(&A, bool) -> Result<T, Unresolved>,
) -> Result<T, Unresolved> {
    let mut first = None;
    for (index, alternative) in alternatives.iter().enumerate() {
        match evaluate(alternative, index + 1 == alternatives.len()) {
            Ok(value) => return Ok(value),
            Err(error @ Unresolved::Unset { .. }) => {
                first.get_or_insert(error);
            }
            Err(error) => return Err(error),
        }
    }
    // The parser never makes an empty list.
    Err(first.unwrap_or_else(|| Unresolved::Unset {
        path: String::new(),
    }))
}

impl str::FromStr for Text {
    type Err = ParseError;

    fn from_str(source: &str) -> Result<Self, ParseError> {
        Self::parse(source)
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({:?})", self.source)
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize_str(deserializer)
    }
}

/// Reads a string by a visitor, so that YAML errors name the key: an error made
/// after the visitor has returned is put at the enclosing map.
fn deserialize_str<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: str::FromStr<Err = ParseError>,
{
    struct Visitor<T>(PhantomData<T>);

    impl<T: str::FromStr<Err = ParseError>> de::Visitor<'_> for Visitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: de::Error>(self, source: &str) -> Result<T, E> {
            source.parse().map_err(E::custom)
        }
    }

    deserializer.deserialize_str(Visitor(PhantomData))
}

#[cfg(test)]
mod tests;
