//! What the vault fails with. No variant carries key material or plaintext.

use std::sync::Arc;

use crate::db;
use crate::tenancy::EnvironmentId;

/// Why something could not be sealed, opened or rotated.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Random,
    /// The cipher refused its input, for example because it is too long.
    #[error("the cipher refused to seal")]
    Cipher,
    /// The column is not in [`SEALED`](super::SEALED), so that rotation would
    /// miss it.
    #[error("{table}.{column} is not listed as a sealed column")]
    Unlisted {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The bytes are not a sealed value of a format that this version knows.
    #[error("{table}.{column} does not hold a sealed value that this version can read")]
    Malformed {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The value was changed, or sealed for another environment, column or row.
    #[error("a value in {table}.{column} does not open: it was changed, or belongs elsewhere")]
    Refused {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// What was sealed is not the JSON that the caller expects. The cause is
    /// left out because it would quote the secret.
    #[error("a value in {table}.{column} is not the JSON that is expected there")]
    Json {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The value names a data key that is not loaded: it was made after these
    /// keys were. [`Vault::open`](super::Vault::open) loads them again.
    #[error("data key {version} is not known")]
    UnknownVersion {
        /// The version that the value names.
        version: u32,
    },
    /// The environment has no data key: it does not exist, or its key was
    /// erased.
    #[error("environment {} has no data key", .environment.0)]
    NoDataKey {
        /// The environment.
        environment: EnvironmentId,
    },
    /// A root key that the database needs is not in the keyring.
    #[error(
        "root key \"{id}\" is needed by this database and is not in vault.root_keys: \
         add it after the primary one"
    )]
    MissingRootKey {
        /// The id of the key.
        id: String,
    },
    /// The keyring's key of that id is not the one that the database was made
    /// with.
    #[error(
        "this database was made with another root key \"{id}\" than the one in vault.root_keys: \
         restore that key, or use the database that belongs to this one"
    )]
    WrongRootKey {
        /// The id of the key.
        id: String,
    },
    /// The database failed.
    #[error(transparent)]
    Database(#[from] db::Error),
    /// Loading the keys of an environment failed, for all who waited for it.
    #[error(transparent)]
    Loading(Arc<Error>),
}

impl Error {
    /// What failed, looking through [`Error::Loading`].
    #[must_use]
    pub fn cause(&self) -> &Self {
        match self {
            Self::Loading(error) => error.cause(),
            error => error,
        }
    }
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error.into())
    }
}
