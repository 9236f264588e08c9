//! Named points of the work at which a test lets the process die or stand
//! still. They exist in builds with debug assertions only: a release build has
//! neither the hook nor the calls.
//!
//! | Point | Where the process is |
//! |---|---|
//! | `refresh.leased` | It has the lease and has asked nobody yet. |
//! | `refresh.answered` | The provider has answered; nothing is stored. |
//! | `refresh.beside` | What is kept beside it was asked for, too; that is not stored. |
//! | `refresh.stored` | The answer is stored; the lease is still held. |
//! | `refresh.released` | All is done; nobody has been told. |
//! | `job.taken` | A claim has committed; none of its jobs has begun. |
//! | `job.claimed` | A job is about to run. |
//! | `job.ran` | It has run; nobody knows how it ended. |
//! | `job.settling` | What became of jobs is about to be written. |
//! | `job.settled` | It is written; the worker still counts them as its own. |
//! | `keeper.promoted` | Delayed jobs that are due are ready. |
//! | `keeper.ticked` | Schedules that are due have their jobs. |
//! | `keeper.recovered` | Jobs of lost workers are to run again. |
//! | `worker.leaving` | It is to stop, and holds nothing; its lease still counts. |
//! | `sync.begun` | A run is written down as begun; nothing of it is done. |
//! | `sync.emptied` | What was to be emptied before the run is. |
//! | `sync.saved` | A batch of the run is stored; its counts are not. |
//! | `sync.checkpointed` | A checkpoint is stored; the function does not know. |
//! | `sync.ran` | The function has ended; nobody knows how. |
//! | `sync.finished` | How it ended is written down; its job is not settled. |
//! | `records.compared` | A batch was compared with the store; nothing is locked. |
//! | `records.locked` | The other way of a batch: its stream is locked. |
//! | `records.written` | The other way: all is written and not committed. |
//! | `records.committed` | The batch is stored; nobody has been told. |
//! | `records.piece` | A piece of a deletion, or of a pruning, is done; more follow. |

#[cfg(debug_assertions)]
static HOOK: std::sync::OnceLock<fn(&'static str)> = std::sync::OnceLock::new();

/// Sets what is called at every point, with its name. Only the first call
/// counts.
#[cfg(debug_assertions)]
pub fn install(hook: fn(&'static str)) {
    let _ = HOOK.set(hook);
}

/// Says that the work has come to a point.
#[inline]
pub fn reach(point: &'static str) {
    #[cfg(debug_assertions)]
    if let Some(hook) = HOOK.get() {
        hook(point);
    }
    #[cfg(not(debug_assertions))]
    let _ = point;
}
