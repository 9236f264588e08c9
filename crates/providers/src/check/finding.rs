//! What a check finds.

use std::fmt;
use std::path::{Path, PathBuf};

/// A mistake in a template, or something odd about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether the template can be used.
    pub severity: Severity,
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1, where they are known.
    pub position: Option<(usize, usize)>,
    /// The key, dotted; empty for the file as a whole.
    pub key: String,
    /// What is wrong with it.
    pub message: String,
    known: bool,
}

/// Whether a template can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It can.
    Warning,
    /// It cannot.
    Error,
}

impl Finding {
    pub(crate) fn error(
        path: &Path,
        position: Option<(usize, usize)>,
        key: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Error,
            path: path.to_owned(),
            position,
            key: key.into(),
            message: message.into(),
            known: false,
        }
    }

    /// An error of a file as a whole.
    pub(crate) fn of_file(path: &Path, message: impl Into<String>) -> Self {
        Self::error(path, None, "", message)
    }

    pub(crate) fn warning(self) -> Self {
        Self {
            severity: Severity::Warning,
            ..self
        }
    }

    /// A warning that quotes the template's `known_fault`.
    pub(crate) fn known(self, fault: &str) -> Self {
        let message = format!("{} (known: {fault})", self.message);
        Self {
            severity: Severity::Warning,
            message,
            known: true,
            ..self
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known
    }

    /// Whether the template cannot be used.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.path.display())?;
        if let Some((line, column)) = self.position {
            write!(f, "{line}:{column}:")?;
        }
        let severity = match self.severity {
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        write!(f, " {severity}: ")?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// All that was found, of which something is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings(pub Vec<Finding>);

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for finding in self.0.iter().filter(|finding| finding.is_error()) {
            write!(f, "{separator}{finding}")?;
            separator = "\n";
        }
        Ok(())
    }
}

impl std::error::Error for Findings {}
