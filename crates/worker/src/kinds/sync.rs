//! Runs of syncs, and what has to happen around them.

use std::sync::Arc;
use std::time::Duration;

use linkspan_records::Store;
use linkspan_shared::Core;
use linkspan_shared::connections::syncing::Arrange;
use linkspan_syncs::{Again, Claim, Ended, Functions, Leave, RunSync, Stop, Stopping};

use crate::context::Why;
use crate::{Context, Failure, Registry, Retry};

/// Between two looks at whether a run has ended that something waits for.
const LOOK: Duration = Duration::from_secs(1);

pub(super) fn register(registry: Registry, core: Core, functions: Arc<dyn Functions>) -> Registry {
    linkspan_syncs::announce_metrics();
    let store = Store::of(&core);
    let registry = registry.with({
        let (core, store) = (core.clone(), store.clone());
        move |job: RunSync, context| {
            let (core, store, functions) = (core.clone(), store.clone(), Arc::clone(&functions));
            async move { run(&core, &store, &*functions, &job, &context).await }
        }
    });
    let registry = registry.with({
        let core = core.clone();
        move |job: Arrange, context| {
            let core = core.clone();
            async move {
                linkspan_syncs::arrange(&core, &job, || context.is_ending()).await?;
                match context.is_ending() {
                    // The rest is for whoever takes it over.
                    true => Err(Failure::new("it was told to end")),
                    false => Ok(()),
                }
            }
        }
    });
    let registry = registry.with({
        let core = core.clone();
        move |job: Again, _| {
            let core = core.clone();
            async move {
                match linkspan_syncs::again(&core, job.environment, job.sync).await? {
                    true => Ok(()),
                    false => Err(waits("the run before it has not ended yet")),
                }
            }
        }
    });
    registry.with(move |job: Leave, _| {
        let (core, store) = (core.clone(), store.clone());
        async move {
            match linkspan_syncs::leave(&core, &store, &job).await? {
                true => Ok(()),
                false => Err(waits("a run of the sync has not ended yet")),
            }
        }
    })
}

fn waits(what: &str) -> Failure {
    Failure::new(what).retry(Retry::After(LOOK))
}

async fn run(
    core: &Core,
    store: &Store,
    functions: &dyn Functions,
    job: &RunSync,
    context: &Context,
) -> Result<(), Failure> {
    let claim = Claim {
        job: context.id,
        fence: context.fence,
        attempt: context.attempt,
    };
    let stopping = Stopping::new();
    let work = linkspan_syncs::run(core, store, functions, job, claim, &stopping);
    tokio::pin!(work);
    let ended = tokio::select! {
        biased;
        ended = &mut work => ended,
        () = context.ending() => {
            stopping.stop(why(context));
            work.await
        }
    };
    match ended? {
        Ended::Done | Ended::Gone => Ok(()),
        Ended::Stopped => Err(Failure::new("the run was told to end")),
        Ended::Repeat(message) => Err(Failure::new(message)),
    }
}

fn why(context: &Context) -> Stop {
    match context.end.why() {
        Some(Why::Cancelled) => Stop::Cancelled,
        Some(Why::Overtime) => Stop::Overtime,
        Some(Why::Lost) => Stop::Lost,
        Some(Why::Stopping) | None => Stop::HandedBack,
    }
}
