//! Whether a template makes sense, beyond being YAML: every mistake of a file at
//! once, each with its place and its key.

mod finding;
mod foreign;
mod keys;
mod names;
mod placeholders;
mod places;
mod rules;

use std::path::Path;

use serde_json::{Map, Value};
use serde_yaml::Mapping;

pub use finding::{Finding, Findings, Severity};
pub(crate) use places::Places;

use crate::Template;

type Keys = Map<String, Value>;

/// A file that is YAML.
pub(crate) struct Document {
    /// Its keys.
    pub(crate) keys: Keys,
    /// The same in their order, which that of an XML body is.
    pub(crate) ordered: Mapping,
    /// Where they are.
    pub(crate) places: Places,
    /// It has a mistake already.
    pub(crate) is_wrong: bool,
}

/// A template that is checked.
pub(crate) struct Subject<'a> {
    pub(crate) slug: &'a str,
    /// Its file, as findings name it.
    pub(crate) path: &'a Path,
    /// The keys of its file.
    pub(crate) own: &'a Keys,
    /// Those that they are laid over.
    pub(crate) parent: Option<&'a Keys>,
    /// Both.
    pub(crate) keys: &'a Keys,
    /// Where its own keys are, if that is known.
    pub(crate) places: Option<&'a Places>,
    /// Names that the key `quirk` may have.
    pub(crate) quirks: &'a [&'a str],
}

impl Subject<'_> {
    /// An error at a key.
    fn error(&self, key: &str, message: impl Into<String>) -> Finding {
        let at = self.places.and_then(|places| places.value(key));
        Finding::error(self.path, at, key, message)
    }

    /// An error, or a warning where the template's fault is known.
    fn fault(&self, key: &str, message: impl Into<String>) -> Finding {
        let finding = self.error(key, message);
        match self.keys.get("known_fault").and_then(Value::as_str) {
            Some(known) => finding.known(known),
            None => finding,
        }
    }

    /// A key that comes from the parent is told from one of the file's own.
    fn is_own(&self, key: &str) -> bool {
        self.parent.is_none() || self.own.contains_key(top(key))
    }
}

/// Reads a file as YAML.
///
/// # Errors
/// It is not, or not a map.
pub(crate) fn read(path: &Path, text: &str) -> Result<(Document, Vec<Finding>), Finding> {
    let yaml_error = |cause: serde_yaml::Error| {
        let at = cause.location().map(|at| (at.line(), at.column()));
        let message = cause.to_string();
        let message = message.split(" at line ").next().unwrap_or(&message);
        Finding::error(path, at, "", message)
    };
    let keys: Keys = serde_yaml::from_str(text).map_err(yaml_error)?;
    // Refused only for a key that is given twice, which has its own finding.
    let ordered: Mapping = serde_yaml::from_str(text).unwrap_or_default();
    let places = Places::of(text);
    let twice = places.twice();
    let mut findings: Vec<Finding> = twice
        .map(|(key, at)| Finding::error(path, Some(at), key, "is given twice"))
        .collect();
    if let Some((key, message)) = foreign::first(&ordered, "") {
        findings.push(Finding::error(path, places.value(&key), &key, message));
    }
    let document = Document {
        keys,
        ordered,
        places,
        is_wrong: !findings.is_empty(),
    };
    Ok((document, findings))
}

/// Checks a template, and reads it if its keys are those of the format.
pub(crate) fn template(subject: &Subject<'_>, findings: &mut Vec<Finding>) -> Option<Template> {
    let template = keys::read(subject, findings);
    let mut found = Vec::new();
    if let Some(template) = &template {
        rules::check(subject, template, &mut found);
    }
    placeholders::check(subject, &mut found);
    if subject.own.contains_key("known_fault") && found.iter().all(|finding| !finding.is_known()) {
        let message = "nothing is found to be wrong: take this key out";
        found.push(subject.error("known_fault", message).warning());
    }
    findings.extend(found);
    template
}

/// The first part of a dotted key.
fn top(key: &str) -> &str {
    key.split(['.', '[']).next().unwrap_or(key)
}
