//! The sources of settings, laid over one another.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::nearest::nearest;
use super::value::Value;

/// The built-in settings, which are also the list of all there are.
pub(super) const DEFAULTS: &str = include_str!("defaults.toml");

/// Settings whose values are shown nowhere.
pub(super) const SECRET: &[&str] = &[
    "database.direct_url",
    "database.url",
    "logs.database_url",
    "records.database_url",
    "vault.root_keys",
];

const PREFIX: &str = "LINKSPAN_";
/// Names the file itself; whoever calls us has already followed it.
const FILE: &str = "LINKSPAN_CONFIG";
/// What the test suite passes to itself.
const TESTS: &str = "LINKSPAN_TEST_";

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    Default,
    File { name: String, line: usize },
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// One setting with the value that is in effect.
pub(super) struct Setting {
    pub(super) path: String,
    pub(super) value: Value,
    pub(super) origin: Origin,
}

impl Setting {
    fn variable(&self) -> String {
        format!("{PREFIX}{}", self.path.replace('.', "_").to_uppercase())
    }

    pub(super) fn is_secret(&self) -> bool {
        SECRET.contains(&self.path.as_str())
    }

    /// The value as TOML, unless it is a secret.
    pub(super) fn shown(&self) -> String {
        if self.is_secret() && !self.value.is_empty() {
            "\"***\"".to_owned()
        } else {
            self.value.shown()
        }
    }
}

/// All settings, in the order of the defaults file, and what was wrong with
/// their sources.
pub(super) struct Layers {
    pub(super) settings: Vec<Setting>,
    pub(super) problems: Vec<Problem>,
}

impl Layers {
    pub(super) fn defaults() -> Self {
        let mut layers = Self {
            settings: Vec::new(),
            problems: Vec::new(),
        };
        layers.settings = layers
            .parse("defaults.toml", DEFAULTS)
            .into_iter()
            .filter_map(|leaf| {
                Some(Setting {
                    value: leaf.value?,
                    path: leaf.path,
                    origin: Origin::Default,
                })
            })
            .collect();
        layers
    }

    /// Lays a TOML file's text over what is there. `name` is for messages.
    pub(super) fn add_file(&mut self, name: &str, text: &str) {
        for leaf in self.parse(name, text) {
            let origin = Origin::File {
                name: name.to_owned(),
                line: leaf.line,
            };
            let Some(setting) = self.settings.iter_mut().find(|s| s.path == leaf.path) else {
                let known = self.settings.iter().map(|s| s.path.as_str());
                let problem = unknown(&leaf.path, &origin, nearest(&leaf.path, known));
                self.problems.push(problem);
                continue;
            };
            match leaf.value.filter(|value| value.same_kind(&setting.value)) {
                Some(value) => (setting.value, setting.origin) = (value, origin),
                None => {
                    let message = format!("must be {}", setting.value.kind());
                    self.problems
                        .push(Problem::new(&leaf.path, &origin, message));
                }
            }
        }
    }

    /// Lays environment variables over what is there. Only names that begin
    /// with `LINKSPAN_` are looked at.
    pub(super) fn add_environment(
        &mut self,
        variables: impl IntoIterator<Item = (String, String)>,
    ) {
        for (name, text) in variables {
            if !name.starts_with(PREFIX) || name == FILE || name.starts_with(TESTS) {
                continue;
            }
            let origin = Origin::Variable(name.clone());
            let Some(setting) = self.settings.iter_mut().find(|s| s.variable() == name) else {
                let known: Vec<String> = self.settings.iter().map(Setting::variable).collect();
                let near = nearest(&name, known.iter().map(String::as_str));
                self.problems.push(unknown(&name, &origin, near));
                continue;
            };
            match setting.value.parse_like(&text) {
                Some(value) => (setting.value, setting.origin) = (value, origin),
                None => {
                    let message = format!("must be {}", setting.value.kind());
                    let problem = Problem::new(&setting.path, &origin, message);
                    self.problems.push(problem);
                }
            }
        }
    }

    /// The values in a TOML text, in its order; none if it is not TOML.
    fn parse(&mut self, name: &str, text: &str) -> Vec<Leaf> {
        let (table, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            let origin = Origin::File {
                name: name.to_owned(),
                line,
            };
            // Only the message: the error's full text quotes the line, which
            // may hold a secret.
            let problem = Problem::new(&origin.to_string(), &origin, error.message());
            self.problems.push(problem);
        }
        let mut leaves = Vec::new();
        if errors.is_empty() {
            flatten(text, "", table.get_ref(), &mut leaves);
        }
        leaves.sort_by_key(|leaf| leaf.line);
        leaves
    }
}

/// A value found in a TOML file; `None` when its kind is not one of ours.
struct Leaf {
    path: String,
    line: usize,
    value: Option<Value>,
}

fn flatten(text: &str, parent: &str, table: &DeTable<'_>, leaves: &mut Vec<Leaf>) {
    for (key, value) in table {
        let path = match parent {
            "" => key.get_ref().to_string(),
            _ => format!("{parent}.{}", key.get_ref()),
        };
        match value.get_ref() {
            DeValue::Table(inner) => flatten(text, &path, inner, leaves),
            other => leaves.push(Leaf {
                line: line_of(text, Spanned::span(key).start),
                value: Value::from_toml(other),
                path,
            }),
        }
    }
}

fn line_of(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().iter().take(offset);
    1 + before.filter(|byte| **byte == b'\n').count()
}

fn unknown(name: &str, origin: &Origin, near: Option<&str>) -> Problem {
    let message = match near {
        Some(near) => format!("is not a setting; did you mean {near}?"),
        None => "is not a setting; the manual's configuration page lists all".to_owned(),
    };
    Problem::new(name, origin, message)
}
