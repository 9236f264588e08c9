//! What a run has changed.

use std::collections::BTreeMap;

use linkspan_records::Outcome;
use serde::{Deserialize, Serialize};

/// What a run has changed of a model, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// Not there before, or deleted.
    pub added: u64,
    /// There with another content.
    pub updated: u64,
    /// Deleted.
    pub deleted: u64,
    /// There as they came.
    pub unchanged: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, outcome: &Outcome) {
        let count = |ids: &[String]| u64::try_from(ids.len()).unwrap_or(0);
        self.added += count(&outcome.added);
        self.updated += count(&outcome.updated);
        self.deleted += count(&outcome.deleted);
        self.unchanged += count(&outcome.unchanged);
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            added,
            updated,
            deleted,
            unchanged,
        } = self;
        write!(
            f,
            "{added} added, {updated} updated, {deleted} deleted, {unchanged} unchanged"
        )
    }
}

/// What a run has changed, by model.
pub type Result = BTreeMap<String, Counts>;

/// What is stored; nothing of what another version wrote and this cannot read.
pub(crate) fn read(stored: Option<&serde_json::Value>) -> Result {
    stored
        .and_then(|value| Result::deserialize(value).ok())
        .unwrap_or_default()
}
