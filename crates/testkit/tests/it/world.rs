//! A database with the test kinds' tables, and worker processes on it.

use std::path::PathBuf;
use std::time::Duration;

use linkspan_jobs::{Kind, NewJob};
use linkspan_shared::db::{Database, Lent, Settings, scalar};
use linkspan_testkit::{TestDatabase, WorkerProcess, WorkerProgram, workload};
use secrecy::SecretString;
use tempfile::TempDir;

/// Longest wait for anything to become true.
const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) struct World {
    pub(crate) db: Database,
    pub(crate) program: WorkerProgram,
    folder: TempDir,
    _database: Option<TestDatabase>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::new().await;
        let (url, direct) = (database.url(), database.direct_url());
        Self::at(url, direct, Some(database)).await
    }

    /// On a database that is migrated.
    pub(crate) async fn at(
        url: SecretString,
        direct_url: SecretString,
        database: Option<TestDatabase>,
    ) -> Self {
        let db = Database::new(&Settings {
            url: url.clone(),
            max_connections: 4,
            timeout: Duration::from_secs(5),
        });
        let world = Self {
            db: db.unwrap(),
            program: WorkerProgram {
                path: PathBuf::from(env!("CARGO_BIN_EXE_linkspan-test-worker")),
                url,
                direct_url: Some(direct_url),
                arguments: Vec::new(),
                variables: Vec::new(),
            },
            folder: TempDir::new().unwrap(),
            _database: database,
        };
        world.run(workload::TABLES).await;
        world
    }

    pub(crate) fn breakpoint(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) async fn start(&self, name: &str) -> WorkerProcess {
        let breakpoint = self.breakpoint(name);
        let started = WorkerProcess::start(&self.program, &breakpoint).await;
        started.unwrap()
    }

    /// Starts one that comes to its end, or to a stop, at a point.
    pub(crate) async fn start_armed(&self, name: &str, point: &str, what: &str) -> WorkerProcess {
        WorkerProcess::arm(&self.breakpoint(name), point, what).unwrap();
        self.start(name).await
    }

    pub(crate) async fn conn(&self) -> Lent {
        self.db.conn().await.unwrap()
    }

    pub(crate) async fn add(&self, jobs: &[NewJob]) -> Vec<i64> {
        let added = linkspan_jobs::enqueue(&mut *self.conn().await, jobs).await;
        let ids = added.unwrap().into_iter();
        ids.map(|one| one.id().unwrap()).collect()
    }

    pub(crate) async fn run(&self, sql: &str) {
        let conn = self.conn().await;
        conn.client().batch_execute(sql).await.unwrap();
    }

    /// Nothing when the database is away.
    pub(crate) async fn try_count(&self, from: &str) -> Option<i64> {
        let conn = self.db.conn().await.ok()?;
        let sql = format!("SELECT count(*) FROM {from}");
        scalar(&conn, &sql).await.ok()
    }

    pub(crate) async fn count(&self, from: &str) -> i64 {
        self.try_count(from).await.unwrap()
    }

    /// Waits until so many rows are there.
    pub(crate) async fn until(&self, count: i64, from: &str) {
        let is_so = async || self.try_count(from).await == Some(count);
        if !eventually(is_so).await {
            let found = self.try_count(from).await;
            let left = self
                .conn()
                .await
                .client()
                .simple_query("SELECT kind, state, attempt, last_error FROM jobs.jobs LIMIT 20")
                .await;
            panic!("{found:?} instead of {count}: {from}\nleft: {left:?}");
        }
    }

    /// What holds whatever was killed, once nothing waits or runs any more.
    pub(crate) async fn is_sound(&self) {
        for wrong in [
            "(SELECT id FROM jobs.finished GROUP BY id HAVING count(*) > 1) AS twice",
            "jobs.finished f WHERE outcome = 'succeeded' AND kind LIKE 'test.%' \
                AND f.output::text::bigint <> \
                    (SELECT max(r.fence) FROM test_runs r WHERE r.job = f.id)",
            "jobs.finished f JOIN test_effects e ON e.job = f.id \
                WHERE outcome = 'succeeded' AND e.fence <> f.output::text::bigint",
            "jobs.finished f WHERE outcome = 'succeeded' \
                AND NOT EXISTS (SELECT 1 FROM test_effects e WHERE e.job = f.id)",
            "jobs.limits WHERE running <> 0",
        ] {
            assert_eq!(self.count(wrong).await, 0, "{wrong}");
        }
    }
}

pub(crate) async fn eventually(is_so: impl AsyncFn() -> bool) -> bool {
    let asking = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.is_ok()
}

pub(crate) fn job<K: Kind>(payload: &K) -> NewJob {
    NewJob::new(payload).unwrap()
}
