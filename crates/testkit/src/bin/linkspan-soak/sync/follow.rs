//! Readers that follow the changes of streams for as long as the soak goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use linkspan_records::{BASE, Cursor, Feed, Query, Record, Store, StreamName, Watch};
use linkspan_testkit::upstream::{self, Way};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::{FOLLOWED, Ground};

/// Between two looks of a reader whom nobody tells of changes.
const LOOK: Duration = Duration::from_millis(300);
/// Small, so that changes come between the pages of one look.
const PAGE: u32 = 7;

type Seen = BTreeMap<String, Record>;

/// The readers, half of whom the feed tells of changes.
pub(super) struct Followers {
    over: watch::Sender<bool>,
    tasks: Vec<(StreamName, JoinHandle<Result<Seen>>)>,
}

impl Followers {
    pub(super) fn start(ground: &Ground) -> Self {
        let (over, is_over) = watch::channel(false);
        let feed = Feed::new(ground.store.clone());
        let followed = ground.connections.iter().take(FOLLOWED);
        let names = followed.flat_map(|connection| {
            Way::ALL.map(|way| upstream::stream(ground.environment, connection.number, (way, BASE)))
        });
        let tasks = names.enumerate().map(|(n, name)| {
            let told = match n % 2 {
                0 => feed.watch(name.clone()),
                _ => None,
            };
            let reader = Reader {
                store: ground.store.clone(),
                name: name.clone(),
                at: Cursor::START,
                seen: Seen::new(),
            };
            (name, tokio::spawn(reader.follow(told, is_over.clone())))
        });
        Self {
            tasks: tasks.collect(),
            over,
        }
    }

    /// Lets all read what is left, and compares it with the stores. What is wrong.
    pub(super) async fn end(self, ground: &Ground) -> Result<Vec<String>> {
        self.over.send_replace(true);
        let mut wrong = Vec::new();
        for (name, task) in self.tasks {
            let seen = task
                .await?
                .with_context(|| format!("a reader of {name:?} failed"))?;
            let there = content(&ground.store, &name).await?;
            let ids = seen.keys().chain(there.keys());
            let missed: Vec<&String> = ids.filter(|id| seen.get(*id) != there.get(*id)).collect();
            if !missed.is_empty() {
                let (model, connection) = (&name.model, name.connection);
                wrong.push(format!(
                    "who followed {model} of connection {connection} has others than the store: \
                     {missed:?}"
                ));
            }
        }
        Ok(wrong)
    }
}

/// Everything that a stream has, deleted records too, by id.
pub(super) async fn content(store: &Store, name: &StreamName) -> Result<Seen> {
    let mut reader = Reader {
        store: store.clone(),
        name: name.clone(),
        at: Cursor::START,
        seen: Seen::new(),
    };
    reader.read(1_000).await?;
    Ok(reader.seen)
}

struct Reader {
    store: Store,
    name: StreamName,
    at: Cursor,
    seen: Seen,
}

impl Reader {
    async fn follow(
        mut self,
        mut told: Option<Watch>,
        mut is_over: watch::Receiver<bool>,
    ) -> Result<Seen> {
        loop {
            let mut known = self.at;
            let was_over = *is_over.borrow_and_update();
            if !was_over {
                let changed = async {
                    match &mut told {
                        Some(watch) => watch.beyond(self.at).await,
                        None => {
                            tokio::time::sleep(LOOK).await;
                            Some(self.at)
                        }
                    }
                };
                tokio::select! {
                    at = changed => known = at.context("the feed was closed")?,
                    _ = is_over.changed() => {}
                }
            }
            self.read(PAGE).await?;
            // The stream comes further without a change, too.
            self.at = self.at.max(known);
            if was_over {
                return Ok(self.seen);
            }
        }
    }

    /// Reads up to the end.
    async fn read(&mut self, limit: u32) -> Result<()> {
        loop {
            let query = Query {
                after: self.at,
                limit,
                ..Query::default()
            };
            let page = self.store.list(&self.name, &query).await?;
            if page.records.is_empty() {
                return Ok(());
            }
            for record in page.records {
                ensure!(record.cursor > self.at, "a record came backwards");
                self.at = record.cursor;
                let id = record.id().context("a record without an id")?;
                self.seen.insert(id, record);
            }
        }
    }
}
