//! Query strings, read strictly: each parameter is known, and given once.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use linkspan_api::{ErrorCode, FieldError};

use crate::error::Failure;

/// The parameters of a query string, taken one by one.
pub(crate) struct Query {
    left: Vec<(String, String)>,
    /// Parameters whose values no text of Postgres could be.
    with_nul: Vec<String>,
}

impl Query {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let left: Vec<(String, String)> =
            url::form_urlencoded::parse(request.query_string().as_bytes())
                .into_owned()
                .collect();
        let with_nul = left
            .iter()
            .filter(|(_, value)| value.contains('\0'))
            .map(|(name, _)| name.clone())
            .collect();
        Self { with_nul, left }
    }

    /// Takes a parameter; of one that is repeated, the last value holds.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.take_all(name).pop()
    }

    /// Takes every value of a parameter, also in the form `name[]`.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        self.left
            .extract_if(.., |(key, _)| is_list(key, name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The same where values may have a NUL: they are not looked up as texts.
    pub(crate) fn take_all_verbatim(&mut self, name: &str) -> Vec<String> {
        self.with_nul.retain(|key| !is_list(key, name));
        self.take_all(name)
    }

    /// Takes the parameters of the form `name[key]`.
    pub(crate) fn take_map(&mut self, name: &str) -> Vec<(String, String)> {
        self.left
            .extract_if(.., |(key, _)| inner_key(key, name).is_some())
            .filter_map(|(key, value)| Some((inner_key(&key, name)?.to_owned(), value)))
            .collect()
    }

    /// Takes a parameter that must be there.
    pub(crate) fn require(&mut self, name: &str) -> Result<String, Failure> {
        self.take(name)
            .filter(|value| !value.is_empty())
            .ok_or_else(|| Failure::query("invalid_type", "Required", name))
    }

    /// Takes a flag: `true` or `false`.
    pub(crate) fn flag(&mut self, name: &str) -> Result<bool, Failure> {
        match self.take(name).as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Failure::query(
                "invalid_enum_value",
                "must be true or false",
                name,
            )),
        }
    }

    /// Takes a whole number within bounds.
    pub(crate) fn number(
        &mut self,
        name: &str,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Result<Option<i64>, Failure> {
        let Some(text) = self.take(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if bounds.contains(&number) => Ok(Some(number)),
            _ => {
                let (least, most) = bounds.into_inner();
                let message = format!("must be a whole number from {least} to {most}");
                Err(Failure::query("invalid_type", message, name))
            }
        }
    }

    /// What was not taken, by name; of a repeated one the last value.
    pub(crate) fn into_map(self) -> BTreeMap<String, String> {
        self.left.into_iter().collect()
    }

    /// Refuses what was not taken, and what no text can contain.
    pub(crate) fn end(self) -> Result<(), Failure> {
        if let Some(name) = self.with_nul.first() {
            return Err(Failure::query(
                "invalid_string",
                "must not contain NUL",
                name,
            ));
        }
        if self.left.is_empty() {
            return Ok(());
        }
        let fields = self
            .left
            .iter()
            .map(|(name, _)| FieldError::new("unrecognized_keys", "unknown parameter", &[name]))
            .collect();
        Err(Failure::fields(ErrorCode::InvalidQueryParams, fields))
    }
}

fn is_list(key: &str, name: &str) -> bool {
    key == name || key.strip_suffix("[]") == Some(name)
}

fn inner_key<'k>(key: &'k str, name: &str) -> Option<&'k str> {
    key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')
}
