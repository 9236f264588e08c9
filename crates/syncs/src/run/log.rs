//! What the log says of a run.

use linkspan_shared::logs::{Level, Operation, Status};

use super::Claim;
use crate::context::Begun;
use crate::sync::RunSync;
use crate::{Facts, RunContext};

/// Says in the log what runs, and why.
pub(super) fn introduce(operation: &mut Operation, begun: &Begun, job: &RunSync, claim: Claim) {
    let Facts {
        integration,
        provider,
        connection_id,
        name,
        variant,
        ..
    } = &begun.facts;
    operation.integration = Some(integration.clone());
    operation.provider = Some(provider.clone());
    operation.connection_id = Some(connection_id.clone());
    let again = match claim.attempt {
        1 => String::new(),
        attempt => format!(", attempt {attempt} after a run that was interrupted"),
    };
    operation.say(
        Level::Info,
        format!(
            "Sync {name}, variant {variant}, runs because {}{again}",
            job.reason.told()
        ),
    );
    if begun.sync.is_empty_due() {
        operation.say(Level::Info, "Its records are deleted first");
    }
    if begun.sync.run_is_initial {
        operation.say(Level::Info, "It begins from nothing");
    }
}

/// Says in the log what was changed. How it failed stays the last message.
pub(super) fn conclude(operation: &mut Operation, context: &RunContext) {
    let log = context.take_log();
    let mut last = Vec::new();
    if operation.status == Status::Failed {
        last.extend(operation.messages.pop());
    }
    operation.messages.extend(log.messages);
    if log.left_out > 0 {
        let text = format!("{} more messages were left out", log.left_out);
        operation.say(Level::Warn, text);
    }
    for (model, counts) in context.result() {
        operation.say(Level::Info, format!("{model}: {counts}"));
    }
    operation.messages.extend(last);
}
