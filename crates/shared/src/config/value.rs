//! The kinds of values that settings have, and how each source writes them.

use toml::de::DeValue;

/// The value of one setting.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    List(Vec<String>),
}

impl Value {
    /// Reads a TOML value; `None` when it is of a kind that no setting has.
    pub(super) fn from_toml(value: &DeValue<'_>) -> Option<Self> {
        match value {
            DeValue::String(text) => Some(Self::Text(text.clone().into_owned())),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .ok()
                .map(Self::Number),
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_str().map(str::to_owned))
                .collect::<Option<_>>()
                .map(Self::List),
            _ => None,
        }
    }

    /// Reads an environment variable's text as a value of this one's kind.
    pub(super) fn parse_like(&self, text: &str) -> Option<Self> {
        match self {
            Self::Text(_) => Some(Self::Text(text.to_owned())),
            Self::Number(_) => text.trim().parse().ok().map(Self::Number),
            Self::List(_) => Some(Self::List(
                text.split(',')
                    .map(str::trim)
                    .filter(|item| !item.is_empty())
                    .map(str::to_owned)
                    .collect(),
            )),
        }
    }

    pub(super) fn same_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text in quotes",
            Self::Number(_) => "a whole number",
            Self::List(_) => "a list of texts",
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Text(text) => text.is_empty(),
            Self::Number(_) => false,
            Self::List(items) => items.is_empty(),
        }
    }

    /// As TOML writes it.
    pub(super) fn shown(&self) -> String {
        let toml = match self {
            Self::Text(text) => toml::Value::from(text.as_str()),
            Self::Number(number) => toml::Value::from(*number),
            Self::List(items) => toml::Value::from(items.clone()),
        };
        toml.to_string()
    }
}
