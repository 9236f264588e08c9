//! Many slots.

use std::sync::Arc;

use tokio::sync::Barrier;

use crate::world::{World, doing, job};

/// More than one claim takes: all run at once, or none of them ends.
#[tokio::test(flavor = "multi_thread")]
async fn more_than_a_thousand_slots_are_filled() {
    const AT_ONCE: usize = 1_300;
    let world = World::new().await;
    let all = Arc::new(Barrier::new(AT_ONCE));
    let registry = doing(move |_, _| {
        let all = Arc::clone(&all);
        async move {
            all.wait().await;
            Ok(())
        }
    });
    let mut settings = world.deaf();
    settings.slots = AT_ONCE;
    let worker = world.start_with(registry, settings);
    let jobs: Vec<_> = (1..).map(job).take(AT_ONCE).collect();
    world.add(&jobs).await;
    world.until_succeeded(1_300).await;
    worker.stop().await;
}
