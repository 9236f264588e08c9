//! What a sync runs: code that is built in, or what another crate loads.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::{Recorded, RunContext};

/// What a sync does in each run.
pub trait SyncFunction: Send + Sync + 'static {
    /// Runs once. It is run again from the beginning when its worker died, so that
    /// what it does must bear repeating; a checkpoint says how far it has come.
    ///
    /// When [`RunContext::stopping`] completes it has a few seconds to end.
    fn run<'a>(&'a self, context: &'a RunContext) -> Running<'a>;
}

impl<F> SyncFunction for F
where
    F: for<'a> Fn(&'a RunContext) -> Running<'a> + Send + Sync + 'static,
{
    fn run<'a>(&'a self, context: &'a RunContext) -> Running<'a> {
        self(context)
    }
}

/// A closure as a function: of itself the compiler does not see that what it
/// returns lives as long as the context does.
pub fn native<F>(function: F) -> F
where
    F: for<'a> Fn(&'a RunContext) -> Running<'a> + Send + Sync + 'static,
{
    function
}

/// A run under way.
pub type Running<'a> = BoxFuture<'a, Result<(), Failure>>;

/// A function as it is found for a run.
pub type Function = Arc<dyn SyncFunction>;

/// Where the functions are found that deployed definitions name.
pub trait Functions: Send + Sync + 'static {
    /// The code of a definition; none when this process has none.
    fn find<'a>(&'a self, recorded: &'a Recorded) -> BoxFuture<'a, Option<Function>>;
}

/// The functions that are built into this program, by the names that
/// definitions give (`native`).
#[derive(Clone, Default)]
pub struct Natives(BTreeMap<String, Function>);

impl Natives {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, function: impl SyncFunction) -> Self {
        self.0.insert(name.into(), Arc::new(function));
        self
    }
}

impl Functions for Natives {
    fn find<'a>(&'a self, recorded: &'a Recorded) -> BoxFuture<'a, Option<Function>> {
        let name = recorded.native.as_deref();
        let found = name.and_then(|name| self.0.get(name)).cloned();
        Box::pin(async move { found })
    }
}

impl std::fmt::Debug for Natives {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}

/// Why a run ended before it was done.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The function failed: it runs again when its schedule says so.
    #[error("{0}")]
    Function(String),
    /// The run is to end: see [`RunContext::stopping`].
    #[error("the run was told to end")]
    Stopped,
    /// Another run has taken its place, and what it saves is refused.
    #[error("{0}")]
    Replaced(String),
    /// A database was away, or its records were deleted. The run is repeated in a
    /// moment.
    #[error("{0}")]
    Outage(String),
}

impl Failure {
    /// The function's own.
    pub fn new(message: impl std::fmt::Display) -> Self {
        Self::Function(message.to_string())
    }
}

impl From<crate::Error> for Failure {
    fn from(error: crate::Error) -> Self {
        match error {
            crate::Error::Stale | crate::Error::Records(linkspan_records::Error::Stale { .. }) => {
                Self::Replaced(error.to_string())
            }
            // A stream that was deleted is made anew by the run's next attempt.
            crate::Error::Records(linkspan_records::Error::Dropped { .. }) => {
                Self::Outage(error.to_string())
            }
            error if error.is_outage() => Self::Outage(error.to_string()),
            error => Self::Function(error.to_string()),
        }
    }
}

impl From<linkspan_records::Error> for Failure {
    fn from(error: linkspan_records::Error) -> Self {
        crate::Error::from(error).into()
    }
}

impl From<linkspan_shared::Error> for Failure {
    fn from(error: linkspan_shared::Error) -> Self {
        crate::Error::from(error).into()
    }
}
