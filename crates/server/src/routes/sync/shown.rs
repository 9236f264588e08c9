//! How a sync is shown.

use linkspan_api::syncs::{SyncResult, SyncState, SyncStatus, SyncType};
use linkspan_syncs::{Counts, Execution, State, Status};
use serde_json::Value;

pub(super) fn status(status: Status) -> SyncStatus {
    let result = |counts: Counts| SyncResult {
        added: counts.added,
        updated: counts.updated,
        deleted: counts.deleted,
    };
    SyncStatus {
        id: status.id.to_string(),
        connection_id: status.connection_id,
        name: status.name,
        variant: status.variant,
        kind: match status.is_initial {
            true => SyncType::Initial,
            false => SyncType::Incremental,
        },
        finished_at: status.finished_at,
        next_scheduled_sync_at: status.next_at,
        frequency: Some(status.frequency),
        latest_result: status.result.map(|by_model| {
            let each = by_model.into_iter();
            each.map(|(model, counts)| (model, result(counts)))
                .collect()
        }),
        latest_execution_status: status.execution.map(|execution| match execution {
            Execution::Running => SyncState::Running,
            Execution::Success => SyncState::Success,
            Execution::Stopped => SyncState::Stopped,
        }),
        record_count: status.record_count,
        status: match status.state {
            State::Running => SyncState::Running,
            State::Paused => SyncState::Paused,
            State::Stopped => SyncState::Stopped,
            State::Success => SyncState::Success,
            State::Error => SyncState::Error,
        },
        checkpoint: match status.checkpoint {
            Some(Value::Object(value)) => Some(value),
            _ => None,
        },
    }
}
