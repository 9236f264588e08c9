//! Parameters of authorize and token requests: a JSON value whose texts may
//! have placeholders.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::Value;

use crate::interpolate::{Scope, Text, Unresolved};

/// A value as a template writes it. Most are texts; a few providers want
/// numbers, booleans or nested objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Param {
    /// A text with placeholders.
    Text(Text),
    /// A number, boolean or null.
    Scalar(Value),
    /// Values in order.
    List(Vec<Self>),
    /// Values by key.
    Map(Entries),
}

/// Values by key, in the template's order: an XML schema asks for its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entries(pub Vec<(String, Param)>);

impl Serialize for Entries {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

impl Param {
    /// The value with its placeholders replaced.
    ///
    /// # Errors
    /// [`Unresolved`] names the first path without a value.
    pub fn evaluate<S: Scope + ?Sized>(&self, scope: &S) -> Result<Value, Unresolved> {
        Ok(match self {
            Self::Text(text) => Value::String(text.evaluate(scope)?),
            Self::Scalar(value) => value.clone(),
            Self::List(items) => Value::Array(
                items
                    .iter()
                    .map(|item| item.evaluate(scope))
                    .collect::<Result<_, _>>()?,
            ),
            Self::Map(entries) => {
                let entry =
                    |(key, value): &(String, Self)| Ok((key.clone(), value.evaluate(scope)?));
                Value::Object(entries.0.iter().map(entry).collect::<Result<_, _>>()?)
            }
        })
    }
}

impl<'de> Deserialize<'de> for Param {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Visitor)
    }
}

/// A visitor, and not a detour over [`Value`], so that YAML errors name the key.
struct Visitor;

impl<'de> de::Visitor<'de> for Visitor {
    type Value = Param;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, number, boolean, list or map")
    }

    fn visit_str<E: de::Error>(self, source: &str) -> Result<Param, E> {
        Text::parse(source).map(Param::Text).map_err(E::custom)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Param, E> {
        Ok(Param::Scalar(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Param, E> {
        Ok(Param::Scalar(Value::Null))
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<Param, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Param::List(list))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut entries: A) -> Result<Param, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Param::Map(Entries(map)))
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use serde_json::json;

    use super::*;
    use crate::interpolate::Path;

    struct Key;

    impl Scope for Key {
        fn lookup(&self, path: &Path) -> Option<Cow<'_, str>> {
            (path.as_str() == "apiKey").then_some(Cow::Borrowed("k"))
        }
    }

    #[test]
    fn keeps_types_and_replaces_texts_at_any_depth() {
        let source = json!({ "a": "x${apiKey}", "n": 1, "b": true, "f": 1.5, "i": -1, "l": ["${apiKey}", null] });
        let param: Param = serde_json::from_value(source.clone()).unwrap();
        assert_eq!(serde_json::to_value(&param).unwrap(), source);
        let expected = json!({ "a": "xk", "n": 1, "b": true, "f": 1.5, "i": -1, "l": ["k", null] });
        assert_eq!(param.evaluate(&Key).unwrap(), expected);
        assert!(serde_json::from_value::<Param>(json!({ "a": ["${oops}"] })).is_err());
        let unset: Param = serde_json::from_value(json!(["${accessToken}"])).unwrap();
        let path = "accessToken".to_owned();
        assert_eq!(
            unset.evaluate(&Key).unwrap_err(),
            Unresolved::Unset { path }
        );
    }
}
