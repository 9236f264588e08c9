//! Ends the jobs and schedules of an environment that was deleted.

use linkspan_shared::Core;
use linkspan_shared::tenancy::end_jobs::EndJobs;

use crate::{Failure, Registry};

pub(super) fn register(registry: Registry, core: Core) -> Registry {
    registry.with(move |gone: EndJobs, context| {
        let core = core.clone();
        async move {
            tokio::select! {
                done = gone.run(&core) => Ok::<_, Failure>(done?),
                () = context.ending() => Err(Failure::new("some jobs of the environment still run")),
            }
        }
    })
}
