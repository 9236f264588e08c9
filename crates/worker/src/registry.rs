//! What is done for each kind of job.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use linkspan_jobs::Kind;
use serde::Serialize;

use crate::{Context, Failure, Retry};

/// The largest result that is kept, in bytes: many are stored in one statement.
const LARGEST_OUTPUT: usize = 1024 * 1024;

/// A run's result as JSON, if it has one.
pub(crate) type Output = Option<String>;
type Run = dyn Fn(&str, Context) -> BoxFuture<'static, Result<Output, Failure>> + Send + Sync;

/// What is done for one kind.
#[derive(Clone)]
pub(crate) struct Handler {
    pub(crate) backoff: fn(u16) -> Duration,
    pub(crate) run: Arc<Run>,
}

/// What is done for each kind of job.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<&'static str, Handler>);

impl Registry {
    /// None yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a kind. What `run` returns is kept with the finished job as JSON;
    /// `()` is not.
    #[must_use]
    pub fn with<K, F, R, T>(mut self, run: F) -> Self
    where
        K: Kind,
        F: Fn(K, Context) -> R + Send + Sync + 'static,
        R: Future<Output = Result<T, Failure>> + Send + 'static,
        T: Serialize,
    {
        let run: Arc<Run> = Arc::new(move |payload, context| {
            let payload = match serde_json::from_str::<K>(payload) {
                Ok(payload) => payload,
                Err(error) => {
                    let failure = unreadable::<K>(&error);
                    return async { Err(failure) }.boxed();
                }
            };
            run(payload, context).map(|result| output(&result?)).boxed()
        });
        let handler = Handler {
            backoff: K::backoff,
            run,
        };
        self.0.insert(K::NAME, handler);
        self
    }

    pub(crate) fn get(&self, kind: &str) -> Option<&Handler> {
        self.0.get(kind)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }
}

/// Another version wrote it, and running it again changes nothing.
fn unreadable<K: Kind>(error: &serde_json::Error) -> Failure {
    let kind = K::NAME;
    Failure::new(format!(
        "this version cannot read the payload of a {kind} job: {error}"
    ))
    .retry(Retry::Never)
}

fn output<T: Serialize>(value: &T) -> Result<Output, Failure> {
    let json = serde_json::to_string(value)?;
    if json.len() > LARGEST_OUTPUT {
        let size = json.len();
        let failure = format!("its result has {size} bytes; {LARGEST_OUTPUT} are the most");
        return Err(Failure::new(failure).retry(Retry::Never));
    }
    Ok(Some(json).filter(|json| json != "null"))
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
