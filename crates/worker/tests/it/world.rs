//! A database, and workers on it in this process.

use std::future::Future;
use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::RunQueryDsl;
use linkspan_jobs::{Kind, NewJob, Waker};
use linkspan_shared::db::{Database, Lent};
use linkspan_testkit::TestDatabase;
use linkspan_worker::{Context, Failure, Registry, Running, Settings};
use serde::{Deserialize, Serialize};

/// Longest wait for anything to become true.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than any test waits: what happens all the same, somebody was told.
pub(crate) const NEVER: Duration = Duration::from_secs(3_600);

/// A job that says which one it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Numbered(pub(crate) i64);

impl Kind for Numbered {
    const NAME: &'static str = "test.numbered";
    const RUN_LIMIT: Duration = Duration::from_secs(60);
    const MAX_ATTEMPTS: u16 = 3;

    fn backoff(attempt: u16) -> Duration {
        Duration::from_millis(20) * attempt.into()
    }
}

pub(crate) fn job(number: i64) -> NewJob {
    NewJob::new(&Numbered(number)).unwrap()
}

/// A registry of the one kind.
pub(crate) fn doing<R, T>(run: impl Fn(i64, Context) -> R + Send + Sync + 'static) -> Registry
where
    R: Future<Output = Result<T, Failure>> + Send + 'static,
    T: Serialize,
{
    Registry::new().with(move |Numbered(number), context| run(number, context))
}

pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) db: Database,
    pub(crate) waker: Waker,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::new().await;
        Self {
            db: database.database(),
            database,
            waker: Waker::new(),
        }
    }

    /// One that looks often, and is given up soon.
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            slots: 10,
            lease: Duration::from_millis(900),
            poll: Duration::from_millis(50),
            drain: Duration::from_millis(50),
            listen: None,
        }
    }

    /// One that does nothing without being told, for as long as a test takes.
    pub(crate) fn deaf(&self) -> Settings {
        Settings {
            lease: NEVER,
            poll: NEVER,
            ..self.settings()
        }
    }

    pub(crate) fn start(&self, registry: Registry) -> Running {
        self.start_with(registry, self.settings())
    }

    pub(crate) fn start_with(&self, registry: Registry, settings: Settings) -> Running {
        linkspan_worker::start(self.db.clone(), self.waker.clone(), registry, settings)
    }

    pub(crate) async fn conn(&self) -> Lent {
        self.db.conn().await.unwrap()
    }

    /// Adds jobs, and tells the workers of this process.
    pub(crate) async fn add(&self, jobs: &[NewJob]) -> Vec<i64> {
        let added = linkspan_jobs::enqueue(&mut *self.conn().await, jobs).await;
        self.waker.wake();
        let ids = added.unwrap().into_iter();
        ids.map(|one| one.id().unwrap()).collect()
    }

    pub(crate) async fn run(&self, sql: &str) {
        let mut conn = self.conn().await;
        let done = diesel::sql_query(sql).execute(&mut *conn).await;
        done.unwrap();
    }

    pub(crate) async fn count(&self, from: &str) -> i64 {
        self.try_count(from).await.unwrap()
    }

    async fn try_count(&self, from: &str) -> Result<i64, diesel::result::Error> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            count: i64,
        }
        let row: Row = diesel::sql_query(format!("SELECT count(*) AS count FROM {from}"))
            .get_result(&mut *self.conn().await)
            .await?;
        Ok(row.count)
    }

    /// Waits until so many rows are there. The pool is the worker's too: a
    /// connection that a test has ended may come from it once more.
    pub(crate) async fn until(&self, count: i64, from: &str) {
        let asking = async {
            while self.try_count(from).await != Ok(count) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, asking).await.is_err() {
            let found = self.count(from).await;
            panic!("{found} instead of {count}: {from}");
        }
    }

    pub(crate) async fn until_succeeded(&self, count: i64) {
        self.until(count, "jobs.finished WHERE outcome = 'succeeded'")
            .await;
    }
}

/// Waits for something that another task does.
pub(crate) async fn soon<T>(what: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, what).await;
    done.expect("it happens in time")
}

/// Waits until it is so.
pub(crate) async fn eventually(is_so: impl Fn() -> bool) {
    soon(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}
