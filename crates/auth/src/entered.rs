//! What a person enters to connect.

use std::collections::BTreeMap;

use linkspan_providers::FieldError;

use crate::Error;

/// What a person entered. It may hold secrets, and has no `Debug`.
#[derive(Clone, Default)]
pub struct Entered {
    /// The fields of the template's `credentials`, and the mode's own.
    pub fields: BTreeMap<String, String>,
    /// The fields of the template's `assertion_option`: used once, never stored.
    pub options: BTreeMap<String, String>,
}

impl From<BTreeMap<String, String>> for Entered {
    fn from(fields: BTreeMap<String, String>) -> Self {
        let options = BTreeMap::new();
        Self { fields, options }
    }
}

/// Why no connection can be made of what was entered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A field is missing, unknown or malformed; without its value.
    #[error("{0}")]
    Field(FieldError),
    /// The provider, or what stands in the way to it.
    #[error(transparent)]
    Auth(#[from] Error),
}

impl From<FieldError> for Rejected {
    fn from(wrong: FieldError) -> Self {
        Self::Field(wrong)
    }
}

/// For what was accepted before, and is used again.
impl From<Rejected> for Error {
    fn from(rejected: Rejected) -> Self {
        match rejected {
            Rejected::Field(wrong) => Self::Unusable(wrong.to_string()),
            Rejected::Auth(error) => error,
        }
    }
}
