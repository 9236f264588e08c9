//! `/records`: what syncs have saved.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::connections::Object;

/// Answer of `GET /records`: in the order of the records' changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordList {
    /// One page of records.
    pub records: Vec<Record>,
    /// What to pass as `cursor` for the next page; `null` on the last one.
    pub next_cursor: Option<String>,
}

/// A record: what was saved, to the letter, and what the server knows of it.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Record {
    /// What the server knows of it.
    #[serde(rename = "_nango_metadata")]
    pub metadata: RecordMetadata,
    /// What the sync saved, `id` among it; nothing but `id` when it was pruned.
    #[serde(flatten)]
    pub fields: Object,
}

/// Without what was saved, which is somebody's data.
impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("metadata", &self.metadata)
            .finish_non_exhaustive()
    }
}

/// What the server knows of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecordMetadata {
    /// When it was first seen, or came back after it was deleted.
    pub first_seen_at: DateTime<Utc>,
    /// When it last changed, in microseconds: no two records of a model have the
    /// same.
    pub last_modified_at: DateTime<Utc>,
    /// What happened then.
    pub last_action: LastAction,
    /// When it was deleted.
    pub deleted_at: Option<DateTime<Utc>>,
    /// When its payload was emptied.
    pub pruned_at: Option<DateTime<Utc>>,
    /// Its place in the order of changes. Its form may change: pass it on as it
    /// is.
    pub cursor: String,
}

/// What last happened to a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum LastAction {
    /// It was added, or came back after it was deleted.
    Added,
    /// Its content changed.
    Updated,
    /// It was deleted.
    Deleted,
}

/// Body of `PATCH /records/prune`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PruneRecords {
    /// The model.
    pub model: String,
    /// The variant; the base one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// Records up to this cursor are pruned, itself too.
    pub until_cursor: String,
    /// How many at most; 1,000 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 10000))]
    pub limit: Option<u32>,
}

/// Answer of `PATCH /records/prune`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PrunedRecords {
    /// Records whose payload was emptied.
    pub count: u64,
    /// Whether there are more up to the cursor.
    pub has_more: bool,
}
