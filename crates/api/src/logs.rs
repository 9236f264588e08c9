//! `/logs/operations`: what Linkspan did for an environment's connections, and
//! how it went. `/logs/counted`: the successful calls that were only counted.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Answer of `GET /logs/operations`: newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationList {
    /// One page of operations, without their messages.
    pub data: Vec<Operation>,
    /// Where the next page begins.
    pub pagination: Pagination,
}

/// Where the next page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pagination {
    /// What to pass as `cursor` for the next page; `null` on the last one. Its
    /// form may change: pass it on as it is.
    pub next_cursor: Option<String>,
}

/// Answer of `GET /logs/operations/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationAnswer {
    /// The operation with its messages.
    pub data: OperationFull,
}

/// One thing that Linkspan did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Operation {
    /// Its id, a UUID ordered by time.
    pub id: String,
    /// The kind of thing: `auth` (a connection was made, replaced or
    /// refreshed), `proxy` (a call went through), `admin` (an integration was
    /// created, changed or deleted), `sync` (a sync ran, or was told what to do). More kinds may follow.
    #[serde(rename = "type")]
    pub kind: String,
    /// What was done, such as `create`, `refresh` or `call`.
    pub action: String,
    /// `success` or `failed`.
    pub status: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// How long it took, in milliseconds.
    pub duration_ms: i32,
    /// The integration's key.
    pub provider_config_key: Option<String>,
    /// The provider's slug.
    pub provider: Option<String>,
    /// The connection's id.
    pub connection_id: Option<String>,
    /// The HTTP status that the provider answered last.
    pub http_status: Option<i16>,
    /// Code of the error table, when it failed in Linkspan.
    pub error_code: Option<String>,
}

/// An operation with its messages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct OperationFull {
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
    /// What happened, in order.
    pub messages: Vec<Message>,
}

/// One message of an operation. Secrets are masked before it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Message {
    /// When.
    pub at: DateTime<Utc>,
    /// `info`, `warn` or `error`.
    pub level: String,
    /// What happened, in one sentence.
    pub text: String,
}

/// Answer of `GET /logs/counted`: what is missing among the operations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountedList {
    /// For each integration that has any, by its key.
    pub data: Vec<CountedOperations>,
    /// All of them together.
    pub successes: i64,
}

/// The successful proxied calls of an integration that are not among the
/// operations, since they were over the budget of stored ones
/// (`logs.operations_per_second`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CountedOperations {
    /// The integration's key.
    pub provider_config_key: String,
    /// The provider's slug.
    pub provider: String,
    /// How many there were.
    pub successes: i64,
}
