//! `/sync/…`: what syncs are told, and how they are.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::connections::Object;
use crate::given::given;

/// A sync of a connection: `"name"`, `"name::variant"`, or both apart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(
    untagged,
    expecting = "expected a sync's name, or an object with name and variant"
)]
pub enum SyncName {
    /// The function's name; after `::` the variant, if it is not the base one.
    Name(String),
    /// The function's name and the variant.
    Variant(SyncVariant),
}

/// A function's name and a variant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SyncVariant {
    /// The function's name.
    pub name: String,
    /// The variant.
    pub variant: String,
}

/// Body of `POST /sync/start` and `POST /sync/pause`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TellSyncs {
    /// Which; all when empty, and at most 256.
    pub syncs: Vec<SyncName>,
    /// The integration's key.
    pub provider_config_key: String,
    /// The connection's id; every connection of the integration when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
}

/// Body of `POST /sync/trigger`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TriggerSyncs {
    /// Which; all when empty, and at most 256.
    pub syncs: Vec<SyncName>,
    /// The integration's key, unless the header `Provider-Config-Key` has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_config_key: Option<String>,
    /// The connection's id, unless the header `Connection-Id` has it; every
    /// connection of the integration when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection_id: Option<String>,
    /// What to do before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opts: Option<TriggerOpts>,
    /// Older than `opts`, and not to be sent beside it: whether to sync
    /// everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub full_resync: Option<bool>,
    /// Older than `opts`, and not to be sent beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_mode: Option<SyncMode>,
}

/// What a triggered run does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct TriggerOpts {
    /// Forget the checkpoint, and so sync everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reset: Option<bool>,
    /// Delete the records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_cache: Option<bool>,
}

/// The older way to say what a triggered run does first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SyncMode {
    /// Nothing: go on from the checkpoint.
    Incremental,
    /// Forget the checkpoint.
    FullRefresh,
    /// Forget the checkpoint and delete the records.
    FullRefreshAndClearCache,
}

/// Answer of `GET /sync/status`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SyncStatuses {
    /// The syncs, by connection.
    pub syncs: Vec<SyncStatus>,
}

/// How a sync is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "camelCase")]
pub struct SyncStatus {
    /// Its id, a UUID.
    pub id: String,
    /// The connection's id.
    #[serde(rename = "connection_id")]
    pub connection_id: String,
    /// The function's name.
    pub name: String,
    /// The variant.
    pub variant: String,
    /// Whether its last run began from nothing.
    #[serde(rename = "type")]
    pub kind: SyncType,
    /// When its last run ended; absent while one is under way, or when there was
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<DateTime<Utc>>,
    /// When its schedule is due; `null` while it is paused.
    pub next_scheduled_sync_at: Option<DateTime<Utc>>,
    /// How often it runs.
    pub frequency: Option<String>,
    /// What its last run changed, or has changed until now, by model; absent when
    /// there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_result: Option<BTreeMap<String, SyncResult>>,
    /// How its last run ended: `RUNNING`, `SUCCESS`, or `STOPPED` when it failed
    /// or was cancelled; absent when there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_execution_status: Option<SyncState>,
    /// Records that are not deleted, by model.
    pub record_count: BTreeMap<String, i64>,
    /// How it is.
    pub status: SyncState,
    /// How far it has come: strings, numbers and booleans.
    pub checkpoint: Option<Object>,
}

/// Whether a run began from nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum SyncType {
    /// It did: no run before it had succeeded, or it was reset.
    Initial,
    /// It went on.
    Incremental,
}

/// How a sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "UPPERCASE")]
pub enum SyncState {
    /// A run of it is under way.
    Running,
    /// It runs only when it is triggered.
    Paused,
    /// Its last run was cancelled.
    Stopped,
    /// Its last run succeeded, or it has not run yet.
    Success,
    /// Its last run failed.
    Error,
}

/// What a run changed of a model, in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SyncResult {
    /// Not there before, or deleted.
    pub added: u64,
    /// There with another content.
    pub updated: u64,
    /// Deleted.
    pub deleted: u64,
}

/// Body of `PUT /sync/update-connection-frequency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct UpdateFrequency {
    /// The function's name.
    pub sync_name: String,
    /// The variant; the base one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_variant: Option<String>,
    /// The integration's key.
    pub provider_config_key: String,
    /// The connection's id.
    pub connection_id: String,
    /// `every 5 minutes`, `1h`, `every half hour`: 30 seconds at least. `null` for
    /// the function's own. It must be there.
    #[serde(default, deserialize_with = "given")]
    pub frequency: Option<Option<String>>,
}

/// Answer of `PUT /sync/update-connection-frequency`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Frequency {
    /// The interval that holds now, or the function's frequency.
    pub frequency: String,
}

/// Body of `POST` and `DELETE /sync/{name}/variant/{variant}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct OfConnection {
    /// The integration's key.
    pub provider_config_key: String,
    /// The connection's id.
    pub connection_id: String,
}

/// Answer of `POST /sync/{name}/variant/{variant}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NewVariant {
    /// The sync's id, a UUID.
    pub id: String,
    /// The function's name.
    pub name: String,
    /// The variant.
    pub variant: String,
}
