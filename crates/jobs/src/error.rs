//! What the jobs table fails with.

/// Why something could not be done with jobs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] linkspan_db::Error),
    /// A payload cannot be written as JSON.
    #[error("the payload of a job of kind {kind} cannot be written as JSON: {cause}")]
    Payload {
        /// The kind.
        kind: &'static str,
        /// Why.
        cause: serde_json::Error,
    },
    /// A schedule's times cannot be read.
    #[error(transparent)]
    Spec(#[from] crate::schedules::SpecError),
    /// A dead job cannot be retried while another with its key is alive.
    #[error("job {0} cannot be retried: another job with its unique key is waiting or running")]
    KeyIsTaken(i64),
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}
