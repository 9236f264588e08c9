//! The store itself, and what it remembers.

use std::sync::Arc;
use std::time::Duration;

use linkspan_shared::Core;
use linkspan_shared::db::Database;
use linkspan_shared::vault::Vault;
use moka::future::Cache;

use crate::Error;
use crate::stream::{self, Counts, Stream, StreamName};

/// Streams whose number and key are remembered at once, and for how long. What
/// is remembered of a stream that was deleted is noticed at its next use.
const REMEMBERED: u64 = 10_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(600);

/// What syncs have saved. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    db: Database,
    vault: Vault,
    streams: Cache<StreamName, Arc<Stream>>,
}

impl Store {
    /// The store of a core's database.
    #[must_use]
    pub fn of(core: &Core) -> Self {
        Self::new(core.records.clone(), core.vault.clone())
    }

    /// A store on the records' database, with what seals its payloads.
    #[must_use]
    pub fn new(db: Database, vault: Vault) -> Self {
        let streams = Cache::builder()
            .max_capacity(REMEMBERED)
            .time_to_live(REMEMBERED_FOR)
            .build();
        Self {
            inner: Arc::new(Inner { db, vault, streams }),
        }
    }

    pub(crate) fn db(&self) -> &Database {
        &self.inner.db
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.inner.vault
    }

    /// The stream of a name, if there is one.
    pub(crate) async fn stream(&self, name: &StreamName) -> Result<Option<Arc<Stream>>, Error> {
        if let Some(known) = self.inner.streams.get(name).await {
            return Ok(Some(known));
        }
        let Some(found) = stream::find(self, name).await? else {
            return Ok(None);
        };
        Ok(Some(self.remember(found).await))
    }

    /// The stream of a name; made when there is none.
    pub(crate) async fn stream_or_new(&self, name: &StreamName) -> Result<Arc<Stream>, Error> {
        if let Some(known) = self.inner.streams.get(name).await {
            return Ok(known);
        }
        let found = stream::find_or_make(self, name).await?;
        Ok(self.remember(found).await)
    }

    /// The stream that somebody writes to. A run has taken its streams before
    /// ([`Store::take`]), and never makes one by writing: one that was replaced would
    /// bring back what was deleted with its sync.
    pub(crate) async fn stream_for(
        &self,
        name: &StreamName,
        fence: Option<i64>,
    ) -> Result<Arc<Stream>, Error> {
        match fence {
            None => self.stream_or_new(name).await,
            Some(_) => {
                let known = self.stream(name).await?;
                known.ok_or_else(|| Error::Dropped {
                    model: name.model.clone(),
                })
            }
        }
    }

    async fn remember(&self, stream: Stream) -> Arc<Stream> {
        let stream = Arc::new(stream);
        let name = stream.name.clone();
        self.inner.streams.insert(name, Arc::clone(&stream)).await;
        stream
    }

    /// Forgets a stream that turned out to be gone.
    pub(crate) async fn forget(&self, name: &StreamName) {
        self.inner.streams.invalidate(name).await;
    }

    /// How much a stream holds; `None` when nothing was ever saved to it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn counts(&self, name: &StreamName) -> Result<Option<Counts>, Error> {
        stream::counts(&mut *self.db().conn().await?, name).await
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
