//! Reading a template's keys, past the first mistake.

use serde::Deserialize as _;
use serde_json::Value;
use serde_path_to_error::{Path, Segment};

use super::places::join;
use super::{Finding, Keys, Subject, names};
use crate::Template;

/// More mistakes than this in one file are not looked for.
const MOST: usize = 50;

/// What every template has, and what stands in for it to look further.
const REQUIRED: [&str; 3] = ["display_name", "categories", "auth_mode"];

/// Reads the template. What a mistake is found in is noted and taken out, and the
/// rest is read again, until there is no further mistake.
pub(super) fn read(subject: &Subject<'_>, findings: &mut Vec<Finding>) -> Option<Template> {
    let mut keys = subject.keys.clone();
    let missing: Vec<&str> = REQUIRED
        .into_iter()
        .filter(|key| !keys.contains_key(*key))
        .collect();
    let is_alias = keys.contains_key("alias");
    for key in missing.iter().filter(|_| !is_alias) {
        findings.push(subject.error(key, "is missing"));
    }
    let mut template = None;
    for count in 0..MOST {
        for key in REQUIRED {
            keys.entry(key).or_insert_with(|| stand_in(key));
        }
        match deserialize(&keys) {
            Ok(read) => {
                template = (count == 0 && missing.is_empty()).then_some(read);
                break;
            }
            Err(error) => {
                let (key, segments) = path_of(&error, &keys);
                if subject.is_own(&key) {
                    findings.push(finding(subject, &key, &error.inner().to_string()));
                }
                if !take_out(&mut keys, &segments) {
                    break;
                }
            }
        }
    }
    let mut template = template?;
    subject.slug.clone_into(&mut template.slug);
    Some(template)
}

fn stand_in(key: &str) -> Value {
    match key {
        "categories" => Value::Array(Vec::new()),
        "auth_mode" => "NONE".into(),
        _ => "".into(),
    }
}

type PathError = serde_path_to_error::Error<serde_json::Error>;

fn deserialize(keys: &Keys) -> Result<Template, PathError> {
    let mut track = serde_path_to_error::Track::new();
    let value = Value::Object(keys.clone());
    let deserializer = serde_path_to_error::Deserializer::new(value, &mut track);
    Template::deserialize(deserializer).map_err(|error| PathError::new(track.path(), error))
}

/// A step on the way to a value.
enum Step {
    Key(String),
    Index(usize),
}

/// The key of a mistake, and the way to it. What has a `type` is read in two
/// steps, which lose the key below it: the message names it.
fn path_of(error: &PathError, keys: &Keys) -> (String, Vec<Step>) {
    let mut steps = steps(error.path());
    if let Some(unknown) = names::unknown(&error.inner().to_string()) {
        let is_last = matches!(steps.last(), Some(Step::Key(key)) if key == unknown);
        if !is_last && find(keys, &steps).is_some_and(|value| value.get(unknown).is_some()) {
            steps.push(Step::Key(unknown.to_owned()));
        }
    }
    let key = steps.iter().fold(String::new(), |path, step| match step {
        Step::Key(key) => join(&path, key),
        Step::Index(index) => format!("{path}[{index}]"),
    });
    (key, steps)
}

fn steps(path: &Path) -> Vec<Step> {
    let step = |segment: &Segment| match segment {
        Segment::Seq { index } => Some(Step::Index(*index)),
        Segment::Map { key } => Some(Step::Key(key.clone())),
        Segment::Enum { .. } | Segment::Unknown => None,
    };
    path.iter().filter_map(step).collect()
}

fn find<'a>(keys: &'a Keys, steps: &[Step]) -> Option<&'a Value> {
    let (Step::Key(first), rest) = steps.split_first()? else {
        return None;
    };
    rest.iter()
        .try_fold(keys.get(first)?, |value, step| match step {
            Step::Key(key) => value.get(key),
            Step::Index(index) => value.get(index),
        })
}

/// Takes a value out; false if it is not there.
fn take_out(keys: &mut Keys, steps: &[Step]) -> bool {
    let Some((Step::Key(first), rest)) = steps.split_first() else {
        return false;
    };
    let Some((last, between)) = rest.split_last() else {
        return keys.remove(first).is_some();
    };
    let holder = keys.get_mut(first).and_then(|value| {
        between.iter().try_fold(value, |value, step| match step {
            Step::Key(key) => value.get_mut(key),
            Step::Index(index) => value.get_mut(index),
        })
    });
    match (holder, last) {
        (Some(Value::Object(keys)), Step::Key(key)) => keys.remove(key).is_some(),
        (Some(Value::Array(items)), Step::Index(index)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

fn finding(subject: &Subject<'_>, key: &str, message: &str) -> Finding {
    if let Some(unknown) = names::unknown(message)
        && key.ends_with(unknown)
    {
        let at = subject.places.and_then(|places| places.key(key));
        return Finding::error(subject.path, at, key, names::explain(message, unknown));
    }
    subject.error(key, message.replacen("unknown variant", "unknown value", 1))
}
