//! One run of one job.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use linkspan_jobs::kind::exponential;
use linkspan_jobs::{Claimed, Outcome};
use linkspan_shared::breakpoint;
use uuid::Uuid;

use crate::context::{End, Why};
use crate::registry::{Handler, Output, Registry};
use crate::{Context, Failure, Retry};

/// How long a run that is told to end may take for it.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// Runs a job to its end, also when what is around the run panics: a kind's
/// back-off, or what its future does when it is dropped.
pub(crate) async fn run_guarded(registry: &Registry, job: &Claimed, end: &End) -> Option<Outcome> {
    let run = AssertUnwindSafe(run(registry, job, end)).catch_unwind();
    run.await
        .unwrap_or_else(|panic| Some(failed(job, panicked(&*panic), exponential)))
}

/// Runs a job to its end, whatever that is. Nothing is to be settled when it is
/// another's by now.
async fn run(registry: &Registry, job: &Claimed, end: &End) -> Option<Outcome> {
    if job.is_late {
        return Some(Outcome::Expired);
    }
    let Some(handler) = registry.get(&job.kind) else {
        return Some(Outcome::Unknown);
    };
    breakpoint::reach("job.claimed");
    let result = run_within(handler, job, end).await;
    breakpoint::reach("job.ran");
    match (result, end.why()) {
        (_, Some(Why::Lost)) => None,
        (Some(Ok(output)), _) => Some(Outcome::Succeeded(output)),
        (_, Some(Why::Cancelled)) => Some(Outcome::Cancelled),
        (_, Some(Why::Stopping)) => Some(Outcome::Released),
        (_, Some(Why::Overtime)) => {
            let limit = job.run_limit.as_secs_f32();
            let failure = Failure::new(format!("it ran longer than the {limit} s that it may"));
            Some(failed(job, failure, handler.backoff))
        }
        (Some(Err(failure)), None) => Some(failed(job, failure, handler.backoff)),
        // Only somebody who says why ends a run before it has a result.
        (None, None) => Some(Outcome::Released),
    }
}

/// The run's result; none when it was told to end and did not in time.
async fn run_within(
    handler: &Handler,
    job: &Claimed,
    end: &End,
) -> Option<Result<Output, Failure>> {
    let context = Context::new(job, end.clone());
    let work = AssertUnwindSafe(async { (handler.run)(&job.payload, context).await });
    let work = work.catch_unwind();
    tokio::pin!(work);
    let ending = async {
        tokio::select! {
            () = end.told() => {}
            () = tokio::time::sleep(job.run_limit) => end.tell(Why::Overtime),
        }
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        biased;
        result = &mut work => Some(result.unwrap_or_else(|panic| Err(panicked(&*panic)))),
        () = ending => None,
    }
}

fn panicked(panic: &(dyn Any + Send)) -> Failure {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a message");
    Failure::new(format!("it panicked: {text}"))
}

fn failed(job: &Claimed, failure: Failure, backoff: fn(u16) -> Duration) -> Outcome {
    let Failure { message, retry } = failure;
    let is_last = job.attempt >= job.max_attempts;
    let after = match retry {
        Retry::Backoff => jittered(backoff(job.attempt)),
        Retry::After(time) => time,
        Retry::Never => Duration::ZERO,
    };
    if retry == Retry::Never || is_last {
        tracing::error!(job = job.id, kind = %job.kind, error = %message, "a job is dead");
        return Outcome::Dead { error: message };
    }
    tracing::warn!(
        job = job.id, kind = %job.kind, error = %message, ?after, "a job failed and runs again"
    );
    Outcome::Retry {
        error: message,
        after,
    }
}

/// Between half of it and all of it, so that what failed together does not come
/// back together.
fn jittered(wait: Duration) -> Duration {
    let random = Uuid::new_v4().as_u64_pair().0;
    let share = u32::try_from(random >> 44).unwrap_or(0);
    wait / 2 + (wait / 2).mul_f64(f64::from(share) / f64::from(1_u32 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_spread_over_its_second_half() {
        let wait = Duration::from_secs(8);
        let waits: Vec<_> = (0..200).map(|_| jittered(wait)).collect();
        assert!(waits.iter().all(|w| (wait / 2..=wait).contains(w)));
        let early = waits.iter().filter(|w| **w < wait * 3 / 4).count();
        assert!((50..150).contains(&early), "{early} of 200");
    }
}
