//! One tenant's crowd and another's single job.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::world::{World, doing, job};

/// A second has room for 1,000 jobs of a millisecond in each slot, and the crowd would
/// take a dozen. The single job usually waits for some tens: for more when its turn has
/// passed before its statement is committed, as on a busy machine, and the worker looks
/// at everything only when looking has taken a fifth of its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_thousand_jobs_of_one_tenant_delay_anothers_by_less_than_a_second() {
    const A_SECOND: usize = 1_000;
    const CROWD: i64 = 100_000;
    let world = World::new().await;
    // As that many enqueuing statements would have left them.
    let crowd = format!(
        "INSERT INTO jobs.jobs (kind, payload, tenant, group_key, priority, state, \
            virtual_time, run_limit_ms, max_attempts) \
         SELECT 'test.numbered', to_json(n), 'crowd', 'crowd', 1, 'ready', n, 60000, 3 \
         FROM generate_series(1, {CROWD}) AS n"
    );
    world.run(&crowd).await;
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = Arc::clone(&order);
    let registry = doing(move |number, _| {
        note.lock().unwrap().push(number);
        async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(())
        }
    });
    let worker = world.start(registry);
    let slots = world.settings().slots;
    for single in 1..=3 {
        let served = order.lock().unwrap().len();
        world
            .until(
                single - 1,
                "jobs.finished WHERE tenant = 'single' AND outcome = 'succeeded'",
            )
            .await;
        assert!(served < usize::try_from(CROWD).unwrap());
        let before = order.lock().unwrap().len();
        world
            .add(&[job(-single).tenant("single").group("single")])
            .await;
        // What began while it was being added is no delay.
        let added = order.lock().unwrap().len();
        world
            .until(single, "jobs.finished WHERE tenant = 'single'")
            .await;
        let order = order.lock().unwrap();
        let at = order.iter().position(|number| *number == -single).unwrap();
        assert!(at >= before);
        let between = at.saturating_sub(added);
        assert!(between < A_SECOND * slots, "{between} jobs went before it");
    }
    assert!(world.count("jobs.jobs WHERE tenant = 'crowd'").await > 0);
    worker.stop().await;
}
