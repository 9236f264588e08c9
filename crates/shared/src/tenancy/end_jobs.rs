//! What a deleted environment has left in the jobs table: none of its jobs may run,
//! and no schedule may make more. The job that sees to it is written with the
//! deletion.

use std::time::Duration;

use linkspan_jobs::{Kind, NewJob, enqueue, tenant};
use serde::{Deserialize, Serialize};

use super::EnvironmentId;
use crate::Core;
use crate::db::{Connection, Error};

/// How often it is looked whether what ran has ended.
const LOOK: Duration = Duration::from_secs(1);

/// Ends the jobs and schedules of an environment that is gone.
#[derive(Debug, Serialize, Deserialize)]
pub struct EndJobs {
    /// The environment; jobs and schedules name it as their tenant.
    pub environment: EnvironmentId,
}

impl Kind for EndJobs {
    const NAME: &'static str = "environments.end_jobs";
    const RUN_LIMIT: Duration = Duration::from_secs(600);
    /// Nothing else does it.
    const MAX_ATTEMPTS: u16 = 20;
}

impl EndJobs {
    /// To be written in the transaction of the deletion.
    pub(super) async fn enqueue(self, conn: &mut Connection) -> Result<(), Error> {
        // Of no tenant: it would end itself.
        let job = NewJob::new(&self).map(|job| job.group("system"));
        let enqueued = match job {
            Ok(job) => enqueue(conn, &[job]).await.map(drop),
            Err(error) => Err(error),
        };
        enqueued.map_err(|error| match error {
            linkspan_jobs::Error::Database(error) => error,
            other => Error::Query(diesel::result::Error::SerializationError(Box::new(other))),
        })
    }

    /// Ends them, and looks again until none runs: what ran may have enqueued more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, core: &Core) -> Result<(), linkspan_jobs::Error> {
        let tenant = self.environment.to_string();
        loop {
            let mut conn = core.db.conn().await?;
            let ended = tenant::end(&mut conn, &tenant).await?;
            drop(conn);
            if ended != tenant::Ended::default() {
                tracing::info!(%tenant, ?ended, "jobs of a deleted environment ended");
            }
            if ended.running == 0 {
                return Ok(());
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}
