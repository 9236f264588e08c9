//! How far a run says that it has come.

use linkspan_shared::breakpoint::reach;
use serde_json::{Map, Value};

use super::RunContext;
use crate::checkpoint::{self, Checkpoint, Holder, Key};
use crate::{Error, Failure};

/// The checkpoint as this run has read or written it; none when there is none.
pub(super) type Read = Option<Checkpoint>;

impl RunContext {
    /// How far the sync has come (`getCheckpoint`); none when it begins anew.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn checkpoint(&self) -> Result<Option<Map<String, Value>>, Failure> {
        self.alive()?;
        let mut read = self.checkpoint.lock().await;
        let now = self.known(self.read_checkpoint().await)?;
        let value = now.as_ref().map(|checkpoint| checkpoint.value.clone());
        *read = Some(now);
        Ok(value)
    }

    /// Says how far the sync has come (`saveCheckpoint`): strings, numbers and
    /// booleans.
    ///
    /// # Errors
    /// When it is none, or somebody else changed it since this run read it.
    pub async fn save_checkpoint(&self, value: Map<String, Value>) -> Result<(), Failure> {
        self.alive()?;
        let mut read = self.checkpoint.lock().await;
        let before = match read.take() {
            Some(before) => before,
            None => self.known(self.read_checkpoint().await)?,
        };
        let version = before.as_ref().map(|checkpoint| checkpoint.version);
        let saved = async {
            let mut conn = self.core.db.conn().await?;
            checkpoint::save(&mut conn, self.key(), self.holder(), &value, version).await
        };
        let version = self.known(saved.await)?;
        reach("sync.checkpointed");
        *read = Some(Some(Checkpoint { value, version }));
        Ok(())
    }

    /// Lets the next run begin anew (`clearCheckpoint`).
    ///
    /// # Errors
    /// When somebody else changed it since this run read it.
    pub async fn clear_checkpoint(&self) -> Result<(), Failure> {
        self.alive()?;
        let mut read = self.checkpoint.lock().await;
        let before = match read.take() {
            Some(before) => before,
            None => self.known(self.read_checkpoint().await)?,
        };
        if let Some(before) = before {
            let cleared = async {
                let mut conn = self.core.db.conn().await?;
                checkpoint::clear(&mut conn, self.key(), self.holder(), before.version).await
            };
            self.known(cleared.await)?;
        }
        reach("sync.cleared");
        *read = Some(None);
        Ok(())
    }

    async fn read_checkpoint(&self) -> Result<Option<Checkpoint>, Error> {
        let mut conn = self.core.db.conn().await?;
        checkpoint::get(&mut conn, self.key()).await
    }

    fn key(&self) -> Key<'_> {
        Key {
            environment: self.sync.environment_id,
            connection: self.sync.connection,
            key: &self.checkpoint_key,
        }
    }

    fn holder(&self) -> Holder {
        Holder {
            sync: self.sync.id,
            fence: self.fence,
        }
    }
}
