//! Query strings, read strictly: each parameter is known, and given once.

use std::collections::BTreeMap;

use actix_web::HttpRequest;
use linkspan_api::{ErrorCode, FieldError};

use crate::error::Failure;

/// The parameters of a query string, taken one by one.
pub(crate) struct Query {
    left: Vec<(String, String)>,
    /// A parameter whose value Postgres could not take.
    with_nul: Option<String>,
}

impl Query {
    pub(crate) fn of(request: &HttpRequest) -> Self {
        let left: Vec<(String, String)> =
            url::form_urlencoded::parse(request.query_string().as_bytes())
                .into_owned()
                .collect();
        let with_nul = left.iter().find(|(_, value)| value.contains('\0'));
        Self {
            with_nul: with_nul.map(|(name, _)| name.clone()),
            left,
        }
    }

    /// Takes a parameter; of one that is repeated, the last value holds.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.take_all(name).pop()
    }

    /// Takes every value of a parameter, also in the form `name[]`.
    pub(crate) fn take_all(&mut self, name: &str) -> Vec<String> {
        let is_it = |key: &str| key == name || key.strip_suffix("[]") == Some(name);
        self.left
            .extract_if(.., |(key, _)| is_it(key))
            .map(|(_, value)| value)
            .collect()
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
        if let Some(name) = &self.with_nul {
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

fn inner_key<'k>(key: &'k str, name: &str) -> Option<&'k str> {
    key.strip_prefix(name)?.strip_prefix('[')?.strip_suffix(']')
}
