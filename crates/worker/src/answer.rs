//! Calls to the worker's own tables that get no answer.
//!
//! The system notices a server that is gone. A pooler or a balancer that holds a
//! connection and says nothing, it does not.

use std::future::Future;
use std::time::Duration;

use linkspan_db::{Error as DbError, Lent, discard};
use linkspan_jobs::Error;
use tokio::time::error::Elapsed;

/// Waits for an answer so long; [`heard`] then says what to do with the connection.
pub(crate) fn within<F: Future>(limit: Duration, call: F) -> tokio::time::Timeout<F> {
    tokio::time::timeout(limit, call)
}

/// What a call came to. A connection on which nothing came is not used again: the
/// next call would wait behind this one. The statement may have been executed all the
/// same, as whenever a connection breaks.
pub(crate) fn heard<T>(conn: Lent, call: Result<Result<T, Error>, Elapsed>) -> Result<T, Error> {
    call.unwrap_or_else(|_| {
        discard(conn);
        let silent = "the server does not answer on a connection that is open";
        Err(DbError::Unavailable(silent.to_owned()).into())
    })
}
