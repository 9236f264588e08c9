//! What the record store fails with.

use linkspan_api::ErrorCode;
use linkspan_shared::{db, vault};

/// The largest record, in bytes (16 MiB).
pub const MOST_BYTES: usize = 16 * 1024 * 1024;
/// The largest batch, in bytes (64 MiB): a batch is held whole.
pub const MOST_BATCH_BYTES: usize = 64 * 1024 * 1024;
/// The most records in a batch.
pub const MOST_RECORDS: usize = 10_000;

/// Why the store did not do something. A batch that fails has changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// A payload could not be sealed or opened.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The writer was replaced: another one with a higher fence has written to
    /// this stream since.
    #[error(
        "this run was replaced by a later one, which has written to {model}: stop, and save nothing \
         more (fence {fence}, the stream is at {current})"
    )]
    Stale {
        /// The model.
        model: String,
        /// The writer's fence.
        fence: i64,
        /// The stream's.
        current: i64,
    },
    /// A record is not a JSON object.
    #[error("record {index} of the batch is not an object: each must be one, with an id")]
    NotAnObject {
        /// Its place in the batch, from 0.
        index: usize,
    },
    /// A record has no id.
    #[error(
        "record {index} of the batch has no usable id: each needs an `id` that is a string with at \
         least one character, or a number"
    )]
    MissingId {
        /// Its place in the batch, from 0.
        index: usize,
    },
    /// A record is too large.
    #[error("record {index} of the batch has {bytes} bytes: a record may have {MOST_BYTES}")]
    TooLarge {
        /// Its place in the batch, from 0.
        index: usize,
        /// Its size.
        bytes: usize,
    },
    /// A record is nested too deep.
    #[error(
        "record {index} of the batch has objects or arrays more than {} deep in one another",
        crate::json::MOST_DEEP
    )]
    TooDeep {
        /// Its place in the batch, from 0.
        index: usize,
    },
    /// The batch is too large.
    #[error(
        "the batch has {records} records and {bytes} bytes: it may have {MOST_RECORDS} and \
         {MOST_BATCH_BYTES}; save it in parts"
    )]
    BatchTooLarge {
        /// Its records.
        records: usize,
        /// Their bytes.
        bytes: usize,
    },
    /// The name of a model or a variant cannot be stored.
    #[error("a model and a variant have 1 to 255 bytes, none of them NUL")]
    InvalidName,
    /// The stream was deleted while something was done to it, or before.
    #[error("the records of {model} were deleted meanwhile; run the sync again")]
    Dropped {
        /// The model.
        model: String,
    },
    /// A payload opens and is not what this version writes.
    #[error("a stored record cannot be read: {0}")]
    Unreadable(&'static str),
    /// Work on another thread did not come back.
    #[error("a part of the work was cut off: the process is stopping")]
    CutOff,
    /// The system has no random bytes to give.
    #[error("the operating system gave no randomness")]
    Random,
}

impl Error {
    /// The error's code in the API's table.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotAnObject { .. }
            | Self::MissingId { .. }
            | Self::TooLarge { .. }
            | Self::TooDeep { .. }
            | Self::BatchTooLarge { .. }
            | Self::InvalidName => ErrorCode::InvalidBody,
            Self::Stale { .. } | Self::Dropped { .. } => ErrorCode::Conflict,
            _ => ErrorCode::GenericErrorSupport,
        }
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}
