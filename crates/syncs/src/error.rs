//! What syncs fail with.

use linkspan_api::ErrorCode;
use linkspan_shared::db;

/// The least time between two runs of a sync (CONTRACT 2.9).
pub(crate) const LEAST_SECONDS: u64 = 30;

/// Why something could not be done with syncs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The core failed.
    #[error(transparent)]
    Core(#[from] linkspan_shared::Error),
    /// The records' store failed.
    #[error(transparent)]
    Records(#[from] linkspan_records::Error),
    /// The jobs table failed.
    #[error(transparent)]
    Jobs(#[from] linkspan_jobs::Error),
    /// A stored value is not what this version writes.
    #[error("stored {what} cannot be read: {cause}")]
    Stored {
        /// Which value.
        what: &'static str,
        /// Why.
        cause: String,
    },
    /// No sync is what the call names.
    #[error(
        "there is no such sync{}: look at GET /sync/status?syncs=* for those that there are",
        .0.as_ref().map(|name| format!(" as '{name}'")).unwrap_or_default()
    )]
    NoSyncs(Option<String>),
    /// The integration has no sync function of this name.
    #[error("integration '{integration}' has no sync '{name}'")]
    UnknownSync {
        /// The integration's key.
        integration: String,
        /// The function's name, and the variant if it is none of the base.
        name: String,
    },
    /// A variant may not have this name.
    #[error("variant '{0}' is every sync's own: it is neither created nor deleted")]
    ProtectedVariant(String),
    /// The variant is there.
    #[error("sync '{name}' of this connection has a variant '{variant}' already")]
    VariantExists {
        /// The function's name.
        name: String,
        /// The variant.
        variant: String,
    },
    /// The variant is being deleted.
    #[error(
        "variant '{0}' is still being deleted, since a run of it is under way; try again in a few \
         seconds"
    )]
    VariantIsLeaving(String),
    /// There is no such variant.
    #[error("sync '{name}' of this connection has no variant '{variant}'")]
    UnknownVariant {
        /// The function's name.
        name: String,
        /// The variant.
        variant: String,
    },
    /// A connection has as many variants of a sync as it may.
    #[error("a connection has {0} variants of a sync at most, the base one among them")]
    TooManyVariants(i64),
    /// The interval is too short.
    #[error("a sync runs every {LEAST_SECONDS} seconds at most")]
    TooShort,
    /// The frequency cannot be read.
    #[error(transparent)]
    Frequency(#[from] linkspan_jobs::schedules::SpecError),
    /// A function cannot be recorded as it is.
    #[error("sync function '{name}' cannot be used: {reason}")]
    InvalidFunction {
        /// Its name.
        name: String,
        /// Why.
        reason: String,
    },
    /// A checkpoint is not what may be stored.
    #[error("this cannot be a checkpoint: {0}")]
    InvalidCheckpoint(String),
    /// The checkpoint is another one by now.
    #[error(
        "the checkpoint was changed by somebody else since it was read: read it again, and decide \
         what to save"
    )]
    CheckpointMoved,
    /// The run is not the sync's run any more.
    #[error("this run was replaced by a later one: stop, and save nothing more")]
    Stale,
}

impl Error {
    /// The error's code in the API's table.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Core(error) => error.code(),
            Self::Records(error) => error.code(),
            Self::Jobs(_) | Self::Stored { .. } => ErrorCode::GenericErrorSupport,
            Self::NoSyncs(_) => ErrorCode::NoSyncsFound,
            Self::UnknownSync { .. } => ErrorCode::UnknownSync,
            Self::ProtectedVariant(_) => ErrorCode::InvalidVariant,
            Self::VariantExists { .. } => ErrorCode::SyncVariantAlreadyExists,
            Self::VariantIsLeaving(_) | Self::CheckpointMoved | Self::Stale => ErrorCode::Conflict,
            Self::UnknownVariant { .. } => ErrorCode::NotFound,
            Self::TooManyVariants(_) => ErrorCode::ResourceCapped,
            Self::TooShort => ErrorCode::SyncIntervalTooShort,
            Self::Frequency(_) | Self::InvalidFunction { .. } | Self::InvalidCheckpoint(_) => {
                ErrorCode::InvalidBody
            }
        }
    }

    /// Whether a database failed, which it may not the next time.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Core(error) => error.is_outage(),
            Self::Jobs(error) => matches!(error, linkspan_jobs::Error::Database(_)),
            Self::Records(error) => matches!(
                error,
                linkspan_records::Error::Database(_) | linkspan_records::Error::Vault(_)
            ),
            _ => false,
        }
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::Core(error.into())
    }
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        Self::Core(error.into())
    }
}
