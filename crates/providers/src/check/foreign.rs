//! What YAML has and JSON has not, beside tags, which are refused as the file is
//! read. A template is shown, and kept, as JSON.

use serde_yaml::{Mapping, Value};

use super::places::join;

/// The first such thing: the key that it is at, and what is wrong.
pub(super) fn first(mapping: &Mapping, path: &str) -> Option<(String, &'static str)> {
    mapping.iter().find_map(|(key, value)| match key {
        Value::String(key) => of(value, &join(path, key)),
        _ => Some((
            path.to_owned(),
            "has a key that is no text: put quotes around it",
        )),
    })
}

fn of(value: &Value, path: &str) -> Option<(String, &'static str)> {
    match value {
        Value::Mapping(mapping) => first(mapping, path),
        Value::Sequence(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(index, item)| of(item, &format!("{path}[{index}]")))
        }
        Value::Number(number) if number.is_nan() || number.is_infinite() => {
            Some((path.to_owned(), "is no number that can be written as JSON"))
        }
        _ => None,
    }
}
