//! Who waits for changes of a stream is told of them.
//!
//! Any process may have written them, so one query asks for the sequences of all
//! streams that somebody here waits for, four times a second, and only while
//! somebody does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Text, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::{Cursor, Error, Store, StreamName};

/// How often it is asked. A change is delivered within a second.
const EVERY: Duration = Duration::from_millis(250);
/// Streams that one query asks for.
const PAGE: usize = 1_000;

/// Where changes are waited for. Cheap to clone.
#[derive(Clone)]
pub struct Feed {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    runtime: Handle,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    watched: HashMap<StreamName, Watched>,
    is_asking: bool,
    is_closed: bool,
}

struct Watched {
    last: watch::Sender<Cursor>,
    watchers: usize,
}

/// Somebody who waits for changes of one stream.
pub struct Watch {
    inner: Arc<Inner>,
    name: StreamName,
    last: watch::Receiver<Cursor>,
}

impl Feed {
    /// A feed of the store's changes. Must run inside a tokio runtime, which what
    /// asks for them stays on.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                runtime: Handle::current(),
                state: Mutex::default(),
            }),
        }
    }

    /// Waits for changes of a stream, which need not be there yet. `None` when the
    /// feed is closed.
    #[must_use]
    pub fn watch(&self, name: StreamName) -> Option<Watch> {
        let mut state = self.inner.state();
        if state.is_closed {
            return None;
        }
        let watched = state
            .watched
            .entry(name.clone())
            .or_insert_with(|| Watched {
                last: watch::Sender::new(Cursor::START),
                watchers: 0,
            });
        watched.watchers += 1;
        let last = watched.last.subscribe();
        if !state.is_asking {
            state.is_asking = true;
            self.inner.runtime.spawn(ask(Arc::clone(&self.inner)));
        }
        drop(state);
        Some(Watch {
            inner: Arc::clone(&self.inner),
            name,
            last,
        })
    }

    /// Ends everybody's waiting, for good.
    pub fn close(&self) {
        let mut state = self.inner.state();
        state.is_closed = true;
        state.watched.clear();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whom to ask for; when nobody waits, the asking is over.
    fn names(&self) -> Vec<StreamName> {
        let mut state = self.state();
        state.is_asking = !state.watched.is_empty();
        state.watched.keys().cloned().collect()
    }

    fn tell(&self, name: &StreamName, cursor: Cursor) {
        let state = self.state();
        if let Some(watched) = state.watched.get(name) {
            watched.last.send_if_modified(|last| {
                let is_new = *last != cursor;
                *last = cursor;
                is_new
            });
        }
    }
}

impl Watch {
    /// Waits until the stream may have something after a place, and says how far
    /// it has come. `None` when the feed was closed.
    pub async fn beyond(&mut self, place: Cursor) -> Option<Cursor> {
        let last = self.last.wait_for(|last| *last > place).await;
        last.ok().map(|last| *last)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        if let Some(watched) = state.watched.get_mut(&self.name) {
            watched.watchers -= 1;
            if watched.watchers == 0 {
                state.watched.remove(&self.name);
            }
        }
    }
}

impl std::fmt::Debug for Feed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

async fn ask(inner: Arc<Inner>) {
    loop {
        let names = inner.names();
        if names.is_empty() {
            return;
        }
        for page in names.chunks(PAGE) {
            match sequences(&inner.store, page).await {
                Ok(found) => {
                    for (at, sequence) in found {
                        if let Some(name) = page.get(at) {
                            inner.tell(name, Cursor(sequence));
                        }
                    }
                }
                // Who waits is told when the database is back.
                Err(error) => tracing::warn!(%error, "changes of records cannot be looked for"),
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// The sequences of streams that are there, by their position in the list.
async fn sequences(store: &Store, names: &[StreamName]) -> Result<Vec<(usize, i64)>, Error> {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        at: i64,
        #[diesel(sql_type = BigInt)]
        sequence: i64,
    }
    let mut conn = store.db().conn().await?;
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT g.at, s.sequence FROM unnest($1, $2, $3, $4) WITH ORDINALITY \
             AS g(environment_id, connection, model, variant, at) CROSS JOIN LATERAL ( \
             SELECT s.sequence FROM records.streams s \
             WHERE s.environment_id = g.environment_id AND s.connection = g.connection \
                 AND s.model = g.model AND s.variant = g.variant OFFSET 0 \
         ) s",
    )
    .bind::<Array<SqlUuid>, _>(names.iter().map(|n| n.environment).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(names.iter().map(|n| n.connection).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(names.iter().map(|n| &*n.model).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(names.iter().map(|n| &*n.variant).collect::<Vec<_>>())
    .load(&mut conn)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| Some((usize::try_from(row.at - 1).ok()?, row.sequence)))
        .collect())
}
