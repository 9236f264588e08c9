//! What is wrong with a configuration, all of it at once.

use std::fmt;

use super::layers::Origin;

/// Everything that is wrong with a configuration. Its text has one line for
/// each problem and shows no value of a secret setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Errors(Vec<Problem>);

/// One thing that is wrong: which setting, where it came from, what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting's path (`database.url`), or the name that is not one.
    pub key: String,
    /// `file:line`, the environment variable, or "default".
    pub origin: String,
    /// What is wrong and what is expected instead.
    pub message: String,
}

impl Problem {
    pub(super) fn new(key: &str, origin: &Origin, message: impl Into<String>) -> Self {
        Self {
            key: key.to_owned(),
            origin: origin.to_string(),
            message: message.into(),
        }
    }
}

impl Errors {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self(problems)
    }

    /// The problems, in the order in which they were found.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.0
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key == self.origin {
            write!(f, "{}: {}", self.key, self.message)
        } else {
            write!(f, "{} ({}): {}", self.key, self.origin, self.message)
        }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the configuration is not usable:")?;
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}
