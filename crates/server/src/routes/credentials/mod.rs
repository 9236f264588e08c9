//! Connecting with credentials that the end user types in (CONTRACT 2.1).

mod connecting;
mod described;
mod entries;
mod logins;

use std::collections::BTreeMap;

use linkspan_api::{ErrorCode, FieldError};
use linkspan_providers::AuthMode;
use linkspan_shared::Error;
use serde_json::{Map, Value};

use crate::error::Failure;
use crate::extract::Query;
use crate::openapi::Routes;

pub(crate) fn configure(routes: &mut Routes<'_>) {
    entries::configure(routes);
    logins::configure(routes);
    described::configure(routes);
}

/// The `params[…]` of a browser's call. Where webhooks go is the backend's to
/// say, so that one is dropped.
pub(super) fn connection_config(query: &mut Query) -> Map<String, Value> {
    query
        .take_map("params")
        .into_iter()
        .filter(|(name, _)| name != "webhook_url")
        .map(|(name, value)| (name, value.into()))
        .collect()
}

/// The fields of a body that are there.
fn fields<const N: usize>(entered: [(&str, Option<String>); N]) -> BTreeMap<String, String> {
    let given = entered.into_iter();
    given
        .filter_map(|(name, value)| Some((name.to_owned(), value?)))
        .collect()
}

/// Refuses credentials that say they are of another mode than their route's.
fn of_mode(name: Option<&str>, mode: AuthMode) -> Result<(), Failure> {
    match name {
        Some(name) if name != mode.as_str() => {
            Err(refused(&["type"], &format!("must be {mode} here")))
        }
        _ => Ok(()),
    }
}

fn refused(path: &[&str], message: &str) -> Failure {
    let wrong = FieldError::new("invalid_type", message, path);
    let (code, fields) = (ErrorCode::InvalidBody, vec![wrong]);
    Error::Invalid { code, fields }.into()
}
