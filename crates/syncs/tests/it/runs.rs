//! What a run does, and what becomes of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use linkspan_syncs::{
    Execution, Failure, Natives, Opts, RunContext, Running, State, SyncFunction, native,
};
use serde_json::{Map, json};
use tokio::sync::Notify;

use crate::world::{World, eventually, record, save};

/// Saves a and b first, then b changed and c, and deletes what it has not seen.
fn changing(context: &RunContext) -> Running<'_> {
    Box::pin(async {
        context.track_deletes_start("Item").await?;
        let before = context.checkpoint().await?;
        match before.and_then(|value| value["run"].as_u64()) {
            None => save(context, &["a", "b", "d"], 1).await?,
            Some(_) => {
                save(context, &["b", "c"], 2).await?;
                save(context, &["d"], 1).await?;
            }
        }
        let mut value = Map::new();
        value.insert("run".to_owned(), 1.into());
        context.save_checkpoint(value).await?;
        context.track_deletes_end("Item").await?;
        context.log(linkspan_shared::logs::Level::Info, "all is well");
        Ok(())
    })
}

/// What the log says of so many runs, as soon as they are there: the last one first.
async fn logged(world: &World, runs: usize) -> Vec<String> {
    eventually("the runs are in the log", || async {
        let mut texts = Vec::new();
        let reply = world.app.get("/logs/operations?type=sync").await.json();
        for one in reply["data"].as_array().unwrap() {
            if one["action"] == "run" {
                let path = format!("/logs/operations/{}", one["id"].as_str().unwrap());
                let full = world.app.get(&path).await.json()["data"].clone();
                assert_eq!(full["provider_config_key"], "demo");
                assert_eq!(full["connection_id"], "one");
                texts.push(full["messages"].to_string());
            }
        }
        (texts.len() == runs).then_some(texts)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_counts_what_it_changes_and_is_in_the_log() {
    let world = World::new(Natives::new().with("items", changing)).await;
    world.record(|_| ()).await;
    let done = |status: &linkspan_syncs::Status| status.execution == Some(Execution::Success);
    world.until("the first run succeeded", done).await;
    world
        .until_number("SELECT count(*) FROM jobs.jobs WHERE kind = 'syncs.run'", 0)
        .await;
    linkspan_syncs::trigger(&world.app.core, &world.scope(&[]), Opts::default())
        .await
        .unwrap();
    let status = world
        .until("the second run succeeded", |status| {
            done(status) && !status.is_initial
        })
        .await;
    let counts = status.result.unwrap()["Item"];
    assert_eq!(
        (
            counts.added,
            counts.updated,
            counts.deleted,
            counts.unchanged
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(status.checkpoint, Some(json!({ "run": 1 })));
    assert_eq!(status.record_count["Item"], 3);

    let texts = logged(&world, 2).await;
    assert!(
        texts[0].contains("runs because it was triggered"),
        "{texts:?}"
    );
    assert!(texts[0].contains("Item: 1 added, 1 updated, 1 deleted, 1 unchanged"));
    assert!(texts[0].contains("all is well"));
    assert!(texts[1].contains("runs because it is new"), "{texts:?}");
    assert!(texts[1].contains("It begins from nothing"));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_fails_runs_again_by_its_schedule_alone() {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let failing = native(move |context| {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            save(context, &["a"], run).await?;
            match run {
                0 => Err(Failure::new("the API is not what it was")),
                1 => panic!("out of order"),
                _ => save_wrong(context).await,
            }
        })
    });
    let world = World::new(Natives::new().with("items", failing)).await;
    world.record(|_| ()).await;
    for (run, error) in [
        "the API is not what it was",
        "the function panicked: out of order",
        "sync items has no model Nothing: its models are Item",
    ]
    .into_iter()
    .enumerate()
    {
        let failed = format!("SELECT count(*) FROM syncs WHERE run_error = '{error}'");
        world.until_number(&failed, 1).await;
        let status = world.statuses().await.remove(0);
        assert_eq!(status.state, State::Error);
        assert_eq!(status.execution, Some(Execution::Stopped));
        assert_eq!(runs.load(Ordering::SeqCst) as usize, run + 1);
        // What it saved before it failed stays, and the next one is no first one
        // only when one has succeeded.
        assert!(status.is_initial);
        assert_eq!(world.items().await.len(), 1);
        let live = "SELECT count(*) FROM jobs.jobs WHERE kind = 'syncs.run'";
        world.until_number(live, 0).await;
        linkspan_syncs::trigger(&world.app.core, &world.scope(&[]), Opts::default())
            .await
            .unwrap();
    }
    world.end().await;
}

async fn save_wrong(context: &RunContext) -> Result<(), Failure> {
    let saved = context.batch_save("Nothing", vec![record("a", 1)]).await;
    saved.map(drop)
}

/// Incremental: saves one more record in each run.
fn growing(context: &RunContext) -> Running<'_> {
    Box::pin(async {
        let before = context.checkpoint().await?;
        let next = before.and_then(|value| value["next"].as_u64()).unwrap_or(0);
        let id = format!("r{next}");
        save(context, &[&id], 1).await?;
        let mut value = Map::new();
        value.insert("next".to_owned(), (next + 1).into());
        context.save_checkpoint(value).await
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_forgets_the_checkpoint_and_emptying_the_records() {
    let world = World::new(Natives::new().with("items", growing)).await;
    world.record(|_| ()).await;
    let finished = "SELECT count(*) FROM jobs.finished WHERE kind = 'syncs.run'";
    let trigger = async |reset, empty_cache| {
        let opts = Opts { reset, empty_cache };
        linkspan_syncs::trigger(&world.app.core, &world.scope(&[]), opts)
            .await
            .unwrap();
    };
    let ids = async || {
        let items = world.items().await.into_iter();
        items.map(|(id, _)| id).collect::<Vec<_>>().join(" ")
    };
    world.until_number(finished, 1).await;
    trigger(false, false).await;
    world.until_number(finished, 2).await;
    assert_eq!(ids().await, "r0 r1");
    trigger(true, false).await;
    world.until_number(finished, 3).await;
    // From the beginning again, over what is there.
    assert_eq!(ids().await, "r0 r1");
    let status = world.statuses().await.remove(0);
    assert!(status.is_initial);
    assert_eq!(status.checkpoint, Some(json!({ "next": 1 })));
    trigger(true, true).await;
    world.until_number(finished, 4).await;
    assert_eq!(ids().await, "r0");
    trigger(false, false).await;
    world.until_number(finished, 5).await;
    assert_eq!(ids().await, "r0 r1");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletes_are_tracked_by_a_run_when_its_function_says_so() {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let shrinking = native(move |context| {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match run {
                0 => save(context, &["a", "b"], 1).await,
                1 => {
                    // What is saved before it fails is no word on the rest.
                    save(context, &["b"], 1).await?;
                    Err(Failure::new("half of it only"))
                }
                _ => save(context, &["b"], 1).await,
            }
        })
    });
    let world = World::new(Natives::new().with("items", shrinking)).await;
    world.record(|function| function.track_deletes = true).await;
    let finished = "SELECT count(*) FROM jobs.finished WHERE kind = 'syncs.run'";
    for (runs, items) in [(1, 2), (2, 2), (3, 1)] {
        world.until_number(finished, runs).await;
        assert_eq!(world.items().await.len(), items, "after run {runs}");
        linkspan_syncs::trigger(&world.app.core, &world.scope(&[]), Opts::default())
            .await
            .unwrap();
    }
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeat_without_a_checkpoint_does_not_count_what_the_dead_attempt_saw() {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let whole = native(move |context| {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match run {
                0 => save(context, &["a", "b"], 1).await,
                1 => {
                    save(context, &["a"], 1).await?;
                    Err(Failure::Outage("cut off".to_owned()))
                }
                // Gone from the API since.
                _ => save(context, &["b"], 1).await,
            }
        })
    });
    let world = World::new(Natives::new().with("items", whole)).await;
    world.record(|function| function.track_deletes = true).await;
    let finished = "SELECT count(*) FROM jobs.finished WHERE kind = 'syncs.run'";
    world.until_number(finished, 1).await;
    linkspan_syncs::trigger(&world.app.core, &world.scope(&[]), Opts::default())
        .await
        .unwrap();
    world.until_number(finished, 2).await;
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(world.items().await, [("b".to_owned(), 1)]);
    world.end().await;
}

/// A function whose first attempt waits until it is told to go on, and is then cut off;
/// how often it has begun, and the two moments.
#[derive(Clone, Default)]
struct CutOff {
    begun: Arc<AtomicU32>,
    first: Arc<Notify>,
    go: Arc<Notify>,
}

impl CutOff {
    fn function(&self) -> impl SyncFunction {
        let cut_off = self.clone();
        native(move |context| {
            let CutOff { begun, first, go } = cut_off.clone();
            Box::pin(async move {
                if begun.fetch_add(1, Ordering::SeqCst) == 0 {
                    first.notify_one();
                    go.notified().await;
                    return Err(Failure::Outage("cut off".to_owned()));
                }
                save(context, &["a"], 1).await
            })
        })
    }

    /// A world in which its first attempt is under way, and another run is to follow.
    async fn under_way(&self) -> World {
        let world = World::new(Natives::new().with("items", self.function())).await;
        world.record(|_| ()).await;
        self.first.notified().await;
        linkspan_syncs::trigger(&world.app.core, &world.scope(&[]), Opts::default())
            .await
            .unwrap();
        world
    }
}

const ENDED: &str = "SELECT count(*) FROM jobs.finished WHERE kind = 'syncs.run' \
    AND outcome = 'succeeded'";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_to_follow_a_run_follows_it_also_when_the_run_is_repeated() {
    let cut_off = CutOff::default();
    let world = cut_off.under_way().await;
    cut_off.go.notify_one();
    world.until_number(ENDED, 2).await;
    assert_eq!(cut_off.begun.load(Ordering::SeqCst), 3);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_cut_off_six_times_has_failed_and_what_is_to_follow_it_does() {
    let cut_off = CutOff::default();
    let world = cut_off.under_way().await;
    // As if five workers had died in it before.
    world
        .execute("UPDATE jobs.jobs SET attempt = 6 WHERE kind = 'syncs.run'")
        .await;
    cut_off.go.notify_one();
    world.until_number(ENDED, 2).await;
    // The attempt that was cut off, and the run that followed.
    assert_eq!(cut_off.begun.load(Ordering::SeqCst), 2);
    let status = world.statuses().await.remove(0);
    assert_eq!(status.execution, Some(Execution::Success));
    // The run that followed, the seventh attempt, and the one that was cut off.
    let texts = logged(&world, 3).await;
    assert!(
        texts[1].contains("each of its 6 attempts was cut off"),
        "{texts:?}"
    );
    world.end().await;
}

/// A run that begins from nothing may be cut off after its first checkpoint and before
/// it tracks deletes: what an earlier run had seen is no word on what is there now.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_run_saw_counts_no_more_when_one_begins_from_nothing() {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let function = native(move |context| {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            context.checkpoint().await?;
            let mut place = Map::new();
            place.insert("next".to_owned(), run.into());
            match run {
                0 => {
                    context.track_deletes_start("Item").await?;
                    save(context, &["a", "b"], 1).await?;
                    context.save_checkpoint(place).await?;
                    Err(Failure::new("half of it only"))
                }
                1 => {
                    context.save_checkpoint(place).await?;
                    Err(Failure::Outage("cut off".to_owned()))
                }
                // b is gone from the API since.
                _ => {
                    context.track_deletes_start("Item").await?;
                    save(context, &["a"], 1).await?;
                    context.clear_checkpoint().await?;
                    context.track_deletes_end("Item").await.map(drop)
                }
            }
        })
    });
    let world = World::new(Natives::new().with("items", function)).await;
    world.record(|_| ()).await;
    world.until_number(ENDED, 1).await;
    let reset = Opts {
        reset: true,
        empty_cache: false,
    };
    linkspan_syncs::trigger(&world.app.core, &world.scope(&[]), reset)
        .await
        .unwrap();
    world.until_number(ENDED, 2).await;
    assert_eq!(runs.load(Ordering::SeqCst), 3);
    assert_eq!(world.items().await, [("a".to_owned(), 1)]);
    world.end().await;
}
