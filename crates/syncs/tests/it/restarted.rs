//! A database that is restarted in the midst of a run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use linkspan_syncs::{Natives, State, native};
use linkspan_testkit::{OwnPostgres, TestDatabase};
use serde_json::Map;
use tokio::sync::watch;

use crate::world::{World, eventually, save};

const PAGES: u64 = 300;
/// Pages that are saved between one restart and the next, if they are that quick.
const BETWEEN: u64 = 100;

/// What the function and the test tell each other.
#[derive(Default)]
struct Told {
    /// How often the function has begun.
    begun: AtomicU64,
    /// The page that it is at.
    page: AtomicU64,
    /// The first page that has to wait for the next restart.
    wait_at: watch::Sender<u64>,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_from_its_checkpoint_when_the_database_is_back() {
    let mut own = OwnPostgres::new();
    let mut world = World::on(TestDatabase::on(&own).await).await;
    let told = Arc::new(Told::default());
    let function = {
        let told = Arc::clone(&told);
        native(move |context| {
            let told = Arc::clone(&told);
            Box::pin(async move {
                told.begun.fetch_add(1, Ordering::SeqCst);
                context.track_deletes_start("Item").await?;
                let read = context.checkpoint().await?;
                let first = read.and_then(|value| value["next"].as_u64()).unwrap_or(0);
                for page in first..PAGES {
                    told.page.store(page, Ordering::SeqCst);
                    let mut wait_at = told.wait_at.subscribe();
                    wait_at.wait_for(|first| page < *first).await.unwrap();
                    save(context, &[&format!("{page:03}")], 1).await?;
                    let mut value = Map::new();
                    value.insert("next".to_owned(), (page + 1).into());
                    context.save_checkpoint(value).await?;
                }
                context.clear_checkpoint().await?;
                context.track_deletes_end("Item").await.map(drop)
            })
        })
    };
    world.record(|_| ()).await;
    world.work(Natives::new().with("items", function)).await;
    for first in (0..PAGES).step_by(usize::try_from(BETWEEN).unwrap()) {
        told.wait_at.send_replace(first + BETWEEN);
        eventually("it is in the midst of it", async || {
            (told.page.load(Ordering::SeqCst) > first + BETWEEN / 2).then_some(())
        })
        .await;
        own.restart();
    }
    told.wait_at.send_replace(PAGES);
    let ended = "SELECT count(*) FROM syncs WHERE run_status = 'succeeded' \
        AND NOT EXISTS (SELECT FROM jobs.jobs WHERE kind LIKE 'syncs.%')";
    let admin = world.admin().await;
    eventually("it has ended", async || {
        let found = admin.query_one(ended, &[]).await.unwrap();
        (found.get::<_, i64>(0) == 1).then_some(())
    })
    .await;
    let begun = told.begun.load(Ordering::SeqCst);
    assert!((2..=4).contains(&begun), "it was cut off: {begun}");
    // Connections of before show at their next use that they are gone.
    let items = eventually("they can be read", async || world.try_items().await.ok()).await;
    let all = (0..PAGES).map(|page| (format!("{page:03}"), 1));
    assert_eq!(items, all.collect::<Vec<_>>());
    let status = world.statuses().await.remove(0);
    assert_eq!((status.state, status.checkpoint), (State::Success, None));
    world.end().await;
}
