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

    /// The value of a function that takes cryptography, or nothing if this
    /// scope cannot compute it of these arguments.
    fn call(&self, function: Function, arguments: &[String]) -> Option<String> {
        let _ = (function, arguments);
        None
    }
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
}

/// A text with placeholders, parsed.
#[derive(Clone, PartialEq, Eq)]
pub struct Text {
    source: Box<str>,
    alternatives: Box<[Box<[Node]>]>,
}

impl Text {
    /// Parses a text. One without `${` stands for itself.
    ///
    /// # Errors
    /// [`ParseError`] says what is wrong and at which character.
    pub fn parse(source: &str) -> Result<Self, ParseError> {
        Ok(Self {
            source: source.into(),
            alternatives: parse::alternatives(source)?,
        })
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.source
    }

    /// Replaces every placeholder by its value. An empty value counts as set,
    /// except where a later alternative can stand in for it.
    ///
    /// # Errors
    /// [`Unresolved`] names the first path without a value in the first
    /// alternative, when no alternative resolves.
    pub fn evaluate<S: Scope + ?Sized>(&self, scope: &S) -> Result<String, Unresolved> {
        first_resolved(&self.alternatives, |nodes, is_last| {
            let mut out = String::with_capacity(self.source.len() + 32);
            node::write(nodes, scope, is_last, &mut out)?;
            Ok(out)
        })
    }
}

/// The first alternative that resolves, or the first one's error.
fn first_resolved<A, T, E>(
    alternatives: &[A],
    mut evaluate: impl FnMut(&A, bool) -> Result<T, E>,
) -> Result<T, E> {
    // The parser never makes an empty list.
    let (first, rest) = match alternatives {
        [only] => return evaluate(only, true),
        [first, rest @ ..] => (first, rest),
        [] => unreachable!("a parsed text has at least one alternative"),
    };
    let error = match evaluate(first, false) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    for (index, alternative) in rest.iter().enumerate() {
        if let Ok(value) = evaluate(alternative, index + 1 == rest.len()) {
            return Ok(value);
        }
    }
    Err(error)
}

impl str::FromStr for Text {
    type Err = ParseError;

    fn from_str(source: &str) -> Result<Self, ParseError> {
        Self::parse(source)
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
