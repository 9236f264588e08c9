//! `linkspan jobs`, beside a worker that does nothing without being told.

use std::time::Duration;

use rustix::process::Signal;

use crate::installation::{Installation, root_key};
use crate::program::Running;
use crate::refresh::world::eventually;

/// What the worker would find by itself, it finds after a minute.
const DEAF: [(&str, &str); 2] = [
    ("LINKSPAN_WORKER_LEASE_MS", "3600000"),
    ("LINKSPAN_WORKER_POLL_MS", "60000"),
];

/// Long before that.
const TOLD_WITHIN: Duration = Duration::from_secs(30);

struct World {
    installation: Installation,
    root: String,
    worker: Running,
}

impl World {
    async fn new() -> Self {
        let root = root_key("main");
        let (installation, _) = Installation::new(&root).await;
        let (worker, _) = installation.work(&root, &DEAF).await;
        let world = Self {
            installation,
            root,
            worker,
        };
        // Its own first job, and its first looks.
        eventually("it has run something", async || {
            world.installation.count("jobs.finished").await == 1
        })
        .await;
        let listens = "pg_stat_activity WHERE datname = current_database() \
            AND query = 'LISTEN linkspan_jobs'";
        eventually("it listens", async || {
            world.installation.count(listens).await == 1
        })
        .await;
        world
    }

    async fn add(&self, id: i64, state: &str, more: &str) {
        let add = format!(
            "INSERT INTO jobs.jobs (id, kind, payload, group_key, priority, state, run_limit_ms, \
                max_attempts) VALUES ({id}, 'sweep', 'null', 'g', 1, '{state}', 60000, 3); \
             UPDATE jobs.jobs SET {more} WHERE id = {id}"
        );
        self.installation.sql(&add).await;
    }

    async fn jobs(&self, arguments: &[&str]) -> String {
        let arguments = [&["jobs"], arguments].concat();
        let program = self.installation.command(&arguments, &self.root);
        program.run().await.printed()
    }

    /// A worker that is told runs it; one that is not would a minute later.
    async fn runs(&self, id: i64) {
        let finished = format!("jobs.finished WHERE id = {id} AND outcome = 'succeeded'");
        let done = eventually("it has run", async || {
            self.installation.count(&finished).await == 1
        });
        let in_time = tokio::time::timeout(TOLD_WITHIN, done).await;
        assert!(
            in_time.is_ok(),
            "job {id} was not begun: nobody told the worker"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_makes_something_ready_by_the_command_line_tells_the_workers() {
    let world = World::new().await;
    // The first may be found by the look after the worker has tried to listen.
    for id in [900_001, 900_002] {
        world.add(id, "dead", "died_at = now()").await;
        assert_eq!(world.jobs(&["retry", &id.to_string()]).await, "1 jobs\n");
        world.runs(id).await;
    }
    world
        .installation
        .sql("INSERT INTO jobs.limits (key, max_running) VALUES ('g', 0)")
        .await;
    for (id, limit) in [
        (900_003, vec!["limit", "g", "1"]),
        (900_004, vec!["limit", "g"]),
    ] {
        world.add(id, "parked", "parked_on = 'g'").await;
        world
            .installation
            .sql("UPDATE jobs.limits SET max_running = 0")
            .await;
        world.jobs(&limit).await;
        world.runs(id).await;
    }
    world.worker.end_by(Signal::TERM).await;
}
