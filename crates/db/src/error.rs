//! The driver's errors, as diesel's and as ours.

use std::error::Error as _;

use diesel::result::{DatabaseErrorInformation, DatabaseErrorKind};
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

/// What the data layer fails with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be had: the pool is exhausted, or Postgres is not
    /// reachable.
    #[error("no database connection: {0}")]
    Unavailable(String),
    /// A query failed.
    #[error("database query failed: {0}")]
    Query(#[from] diesel::result::Error),
}

impl Error {
    /// Whether the same may succeed a little later: the server is away, stops, is
    /// out of resources, or has two that wait for each other.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Unavailable(_)
                | Self::Query(diesel::result::Error::DatabaseError(
                    DatabaseErrorKind::UnableToSendCommand
                        | DatabaseErrorKind::ClosedConnection
                        | DatabaseErrorKind::SerializationFailure
                        | DatabaseErrorKind::ReadOnlyTransaction,
                    _
                ))
        )
    }

    /// Whether the failure is a unique constraint refusing a second row.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(
            self,
            Self::Query(diesel::result::Error::DatabaseError(
                DatabaseErrorKind::UniqueViolation,
                _
            ))
        )
    }
}

/// The error with its causes, since the driver's own text stops at "db error".
pub(super) fn describe(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

pub(super) fn from_driver(error: tokio_postgres::Error) -> diesel::result::Error {
    match error.as_db_error() {
        Some(db) if *db.code() == SqlState::UNDEFINED_TABLE => {
            let message = format!("{}; run `linkspan migrate` first", db.message());
            diesel::result::Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message))
        }
        Some(db) if *db.code() == SqlState::DISK_FULL => {
            let message = format!("{}: make room on the database's disk", db.message());
            diesel::result::Error::DatabaseError(kind(db.code()), Box::new(message))
        }
        Some(db) => {
            diesel::result::Error::DatabaseError(kind(db.code()), Box::new(Info(db.clone())))
        }
        None => diesel::result::Error::DatabaseError(
            DatabaseErrorKind::UnableToSendCommand,
            Box::new(describe(&error)),
        ),
    }
}

fn kind(code: &SqlState) -> DatabaseErrorKind {
    match *code {
        SqlState::UNIQUE_VIOLATION => DatabaseErrorKind::UniqueViolation,
        SqlState::FOREIGN_KEY_VIOLATION => DatabaseErrorKind::ForeignKeyViolation,
        SqlState::T_R_SERIALIZATION_FAILURE => DatabaseErrorKind::SerializationFailure,
        SqlState::READ_ONLY_SQL_TRANSACTION => DatabaseErrorKind::ReadOnlyTransaction,
        SqlState::NOT_NULL_VIOLATION => DatabaseErrorKind::NotNullViolation,
        SqlState::CHECK_VIOLATION => DatabaseErrorKind::CheckViolation,
        _ => kind_of_class(code.code()),
    }
}

/// For what says nothing about the statement: diesel has no kinds for "the server
/// stops", "it is out of connections or memory" and "two waited for each other",
/// and these mean the same to whoever wonders whether to try again.
fn kind_of_class(code: &str) -> DatabaseErrorKind {
    match code.get(..2) {
        Some("40") => DatabaseErrorKind::SerializationFailure,
        // 57: an operator's cancellation or shutdown; 08: the connection.
        Some("08" | "57") => DatabaseErrorKind::ClosedConnection,
        // 53: out of resources; 55: not now, a lock; 58: the server's own system.
        Some("53" | "55" | "58") => DatabaseErrorKind::UnableToSendCommand,
        _ => DatabaseErrorKind::Unknown,
    }
}

struct Info(DbError);

impl DatabaseErrorInformation for Info {
    fn message(&self) -> &str {
        self.0.message()
    }

    fn details(&self) -> Option<&str> {
        self.0.detail()
    }

    fn hint(&self) -> Option<&str> {
        self.0.hint()
    }

    fn table_name(&self) -> Option<&str> {
        self.0.table()
    }

    fn column_name(&self) -> Option<&str> {
        self.0.column()
    }

    fn constraint_name(&self) -> Option<&str> {
        self.0.constraint()
    }

    fn statement_position(&self) -> Option<i32> {
        match self.0.position()? {
            ErrorPosition::Original(position) | ErrorPosition::Internal { position, .. } => {
                i32::try_from(*position).ok()
            }
        }
    }
}
