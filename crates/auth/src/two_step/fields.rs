//! What a person entered, held against the template.

use std::collections::BTreeMap;

use linkspan_providers::{FieldError, Fields, Template};

use super::assertion;
use crate::{Entered, Rejected};

/// The entries, without what pasting adds around them, and with the defaults of
/// fields that were left empty.
pub(super) fn checked(
    template: &Template,
    entered: &Entered,
) -> Result<BTreeMap<String, String>, FieldError> {
    let fields = trimmed(&entered.fields);
    template.credentials.check(&fields)?;
    let options = trimmed(&entered.options);
    let is_made = fields.contains_key(assertion::FIELD);
    if !options.is_empty() || !is_made {
        template.assertion_option.check(&options).map_err(|wrong| {
            FieldError::new(format!("assertionOption.{}", wrong.field), wrong.message)
        })?;
    }
    Ok(with_defaults(&template.credentials, fields))
}

/// The entries of a connection, which were checked before. An import may lack
/// what a login needs.
pub(super) fn kept(
    template: &Template,
    entered: &Entered,
) -> Result<BTreeMap<String, String>, Rejected> {
    match missing(template, entered) {
        None => Ok(with_defaults(&template.credentials, entered.fields.clone())),
        Some(name) => Err(FieldError::new(name, "is needed to log in again").into()),
    }
}

/// Whether the entries suffice to log in again.
pub(super) fn complete(template: &Template, entered: &Entered) -> bool {
    missing(template, entered).is_none()
}

fn missing(template: &Template, entered: &Entered) -> Option<String> {
    let mut missing = template.credentials.missing(&entered.fields);
    missing.next().map(str::to_owned)
}

fn trimmed(entries: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let entries = entries.iter();
    let trimmed = entries.map(|(name, text)| (name.clone(), text.trim().to_owned()));
    trimmed.filter(|(_, text)| !text.is_empty()).collect()
}

fn with_defaults(
    fields: &Fields,
    mut entries: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (name, field) in &fields.0 {
        if let Some(default) = &field.default_value
            && entries.get(name).is_none_or(String::is_empty)
        {
            entries.insert(name.clone(), default.clone());
        }
    }
    entries
}
