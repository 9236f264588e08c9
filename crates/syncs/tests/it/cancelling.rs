//! Runs that are told to end, that another one follows, and that are replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use linkspan_syncs::{Execution, Failure, Natives, Opts, RunContext, Scope, State, native};
use tokio::sync::Notify;

use crate::world::{World, eventually, save};

/// A function that says when it runs and goes on when it is let.
#[derive(Clone, Default)]
struct Gate {
    runs: Arc<AtomicU32>,
    most: Arc<AtomicU32>,
    at_once: Arc<AtomicU32>,
    stopped: Arc<AtomicBool>,
    go: Arc<Notify>,
}

impl Gate {
    fn function(&self) -> impl linkspan_syncs::SyncFunction + use<> {
        let gate = self.clone();
        native(move |context| {
            let gate = gate.clone();
            Box::pin(async move { gate.run(context).await })
        })
    }

    async fn run(&self, context: &RunContext) -> Result<(), Failure> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        self.runs.fetch_add(1, Ordering::SeqCst);
        let ended = tokio::select! {
            () = self.go.notified() => save(context, &["a"], 1).await,
            () = context.stopping() => {
                self.stopped.store(true, Ordering::SeqCst);
                save(context, &["b"], 1).await
            }
        };
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        ended
    }

    async fn until_run(&self, number: u32) {
        eventually(&format!("run {number} is under way"), || async {
            (self.runs.load(Ordering::SeqCst) >= number).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_reaches_a_run_that_is_under_way() {
    let gate = Gate::default();
    let world = World::new(Natives::new().with("items", gate.function())).await;
    world.record(|_| ()).await;
    gate.until_run(1).await;
    let status = world
        .until("it runs", |status| status.state == State::Running)
        .await;
    assert_eq!(status.execution, Some(Execution::Running));
    assert_eq!(status.finished_at, None);
    linkspan_syncs::cancel(&world.app.core, &world.scope(&[]))
        .await
        .unwrap();
    let status = world
        .until("it is stopped", |status| status.state == State::Stopped)
        .await;
    assert_eq!(status.execution, Some(Execution::Stopped));
    world
        .until_number("SELECT count(*) FROM jobs.jobs WHERE kind = 'syncs.run'", 0)
        .await;
    assert!(gate.stopped.load(Ordering::SeqCst));
    // What it wanted to save after it was told is refused.
    assert!(world.items().await.is_empty());
    assert_eq!(
        world
            .number("SELECT count(*) FROM syncs WHERE run_status = 'cancelled'")
            .await,
        1
    );
    // Its schedule goes on.
    assert!(world.statuses().await[0].next_at.is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_paused_and_started_at_once_runs_again() {
    let gate = Gate::default();
    let world = World::new(Natives::new().with("items", gate.function())).await;
    world.record(|_| ()).await;
    gate.until_run(1).await;
    let (core, scope) = (&world.app.core, world.scope(&[]));
    linkspan_syncs::pause(core, &scope).await.unwrap();
    // The run has not heard of it.
    linkspan_syncs::start(core, &scope).await.unwrap();
    gate.until_run(2).await;
    gate.go.notify_one();
    let status = world
        .until("it succeeded", |status| status.state == State::Success)
        .await;
    assert_eq!(status.execution, Some(Execution::Success));
    assert_eq!(gate.most.load(Ordering::SeqCst), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_sync_one_run_is_alive_and_triggers_meanwhile_make_one_more() {
    let gate = Gate::default();
    let world = World::new(Natives::new().with("items", gate.function())).await;
    world.record(|_| ()).await;
    gate.until_run(1).await;
    let core = &world.app.core;
    for _ in 0..20 {
        linkspan_syncs::trigger(core, &world.scope(&[]), Opts::default())
            .await
            .unwrap();
    }
    assert_eq!(gate.runs.load(Ordering::SeqCst), 1);
    gate.go.notify_one();
    gate.until_run(2).await;
    gate.go.notify_one();
    let live = "SELECT count(*) FROM jobs.jobs WHERE kind LIKE 'syncs.%'";
    world.until_number(live, 0).await;
    assert_eq!(gate.runs.load(Ordering::SeqCst), 2);
    assert_eq!(gate.most.load(Ordering::SeqCst), 1);

    // Triggers at once, before anything runs, make one run.
    let scope = world.scope(&[]);
    let triggers = (0..10).map(|_| linkspan_syncs::trigger(core, &scope, Opts::default()));
    for done in futures_util::future::join_all(triggers).await {
        done.unwrap();
    }
    gate.until_run(3).await;
    gate.go.notify_one();
    gate.go.notify_one();
    world.until_number(live, 0).await;
    assert!(gate.runs.load(Ordering::SeqCst) <= 4);
    assert_eq!(gate.most.load(Ordering::SeqCst), 1);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_cancels_the_run_that_is_under_way_and_another_begins_anew() {
    let gate = Gate::default();
    let world = World::new(Natives::new().with("items", gate.function())).await;
    world.record(|_| ()).await;
    gate.until_run(1).await;
    let opts = Opts {
        reset: true,
        empty_cache: true,
    };
    linkspan_syncs::trigger(&world.app.core, &world.scope(&[]), opts)
        .await
        .unwrap();
    gate.until_run(2).await;
    assert!(gate.stopped.load(Ordering::SeqCst));
    gate.go.notify_one();
    world
        .until("the second one succeeded", |status| {
            status.execution == Some(Execution::Success)
        })
        .await;
    assert_eq!(world.items().await, [("a".to_owned(), 1)]);
    assert_eq!(gate.most.load(Ordering::SeqCst), 1);
    assert_eq!(
        world
            .number("SELECT count(*) FROM syncs WHERE is_reset_due OR empties_asked > empties_done")
            .await,
        0
    );
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_stops_hands_its_run_on() {
    let gate = Gate::default();
    let mut world = World::new(Natives::new().with("items", gate.function())).await;
    world.record(|_| ()).await;
    gate.until_run(1).await;
    world.stop_worker().await;
    let status = world.statuses().await.remove(0);
    assert_eq!(status.state, State::Running);
    world
        .work(Natives::new().with("items", gate.function()))
        .await;
    gate.until_run(2).await;
    gate.go.notify_one();
    world
        .until("it succeeded", |status| status.state == State::Success)
        .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_replaced_can_write_nothing_more() {
    let gate = Gate::default();
    let world = World::new(Natives::new().with("items", gate.function())).await;
    world.record(|_| ()).await;
    gate.until_run(1).await;
    // As if another worker had begun the run since.
    world
        .execute(
            "UPDATE syncs SET run_fence = nextval('jobs.fences'); \
             UPDATE jobs.jobs SET fence = currval('jobs.fences'), worker = gen_random_uuid() \
                WHERE kind = 'syncs.run'; \
             UPDATE records.streams SET fence = currval('jobs.fences')",
        )
        .await;
    gate.go.notify_one();
    let over = eventually("the old run is over", || async {
        (gate.at_once.load(Ordering::SeqCst) == 0).then_some(())
    });
    over.await;
    assert!(world.items().await.is_empty());
    let succeeded = "SELECT count(*) FROM syncs WHERE run_status = 'succeeded'";
    // The job is recovered from the worker that is none, and runs under its fence.
    gate.until_run(2).await;
    assert_eq!(world.number(succeeded).await, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_syncs_of_an_integration_are_told_at_once() {
    const ALL: i64 = 250;
    let mut world = World::idle().await;
    let ids: Vec<String> = (1..ALL).map(|n| format!("c{n}")).collect();
    futures_util::future::join_all(ids.iter().map(|id| world.connect(id))).await;
    world.record(|function| function.auto_start = false).await;
    world.work(Natives::new()).await;
    world.until_number("SELECT count(*) FROM syncs", ALL).await;
    world.stop_worker().await;
    let core = &world.app.core;
    let names = [];
    let scope = Scope {
        connection: None,
        ..world.scope(&names)
    };
    let waiting = "SELECT count(*) FROM jobs.jobs WHERE kind = 'syncs.run'";
    let running = "SELECT count(*) FROM jobs.schedules \
        WHERE key LIKE 'sync:%' AND NOT is_paused AND next_at BETWEEN now() AND now() + '1 hour'";
    assert_eq!(world.number(running).await, 0);
    linkspan_syncs::start(core, &scope).await.unwrap();
    assert_eq!(world.number(running).await, ALL);
    assert_eq!(world.number(waiting).await, ALL);
    let started = "SELECT count(*) FROM syncs WHERE state = 'started'";
    assert_eq!(world.number(started).await, ALL);
    let opts = Opts {
        reset: true,
        empty_cache: true,
    };
    linkspan_syncs::trigger(core, &scope, opts).await.unwrap();
    // What waits does it.
    let due = "SELECT count(*) FROM syncs \
        WHERE is_reset_due AND empties_asked = 1 AND NOT is_again_due";
    assert_eq!(world.number(due).await, ALL);
    assert_eq!(world.number(waiting).await, ALL);
    linkspan_syncs::pause(core, &scope).await.unwrap();
    for none in [waiting, running, started] {
        assert_eq!(world.number(none).await, 0, "{none}");
    }
    let operation = eventually("it is in the log", || async {
        let reply = world.app.get("/logs/operations?type=sync").await.json();
        let all = reply["data"].as_array().unwrap();
        let pause = all.iter().find(|one| one["action"] == "pause").cloned();
        pause.map(|one| one["id"].as_str().unwrap().to_owned())
    })
    .await;
    let path = format!("/logs/operations/{operation}");
    let full = world.app.get(&path).await.json()["data"]["messages"].to_string();
    assert!(full.contains("variant base, of c1: paused"), "{full}");
    world.end().await;
}
