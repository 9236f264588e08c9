//! A database with jobs in it.

use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Integer};
use diesel_async::RunQueryDsl;
use linkspan_jobs::claim::{Claim, Reach, WINDOW};
use linkspan_jobs::{Claimed, Kind, NewJob, Outcome, Settlement};
use linkspan_shared::db::{Connection, Database, Lent};
use linkspan_testkit::TestDatabase;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A job that says which one it is.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Numbered(pub(crate) i64);

impl Kind for Numbered {
    const NAME: &'static str = "test.numbered";
    const RUN_LIMIT: Duration = Duration::from_secs(60);
    const MAX_ATTEMPTS: u16 = 3;
}

pub(crate) fn job(number: i64) -> NewJob {
    NewJob::new(&Numbered(number)).unwrap()
}

pub(crate) fn numbers(jobs: &[Claimed]) -> Vec<i64> {
    let number = |job: &Claimed| job.payload.parse().unwrap();
    jobs.iter().map(number).collect()
}

pub(crate) struct World {
    pub(crate) db: Database,
    pub(crate) worker: Uuid,
    _database: TestDatabase,
}

impl World {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::new().await;
        let world = Self {
            db: database.database(),
            worker: Uuid::now_v7(),
            _database: database,
        };
        world.beat(world.worker).await;
        world
    }

    pub(crate) async fn conn(&self) -> Lent {
        self.db.conn().await.unwrap()
    }

    pub(crate) async fn beat(&self, worker: Uuid) {
        let lease = Duration::from_secs(60);
        linkspan_jobs::lease::heartbeat(&mut *self.conn().await, worker, lease, &[Numbered::NAME])
            .await
            .unwrap();
    }

    pub(crate) async fn add(&self, jobs: &[NewJob]) -> Vec<i64> {
        let added = linkspan_jobs::enqueue(&mut *self.conn().await, jobs)
            .await
            .unwrap();
        added.into_iter().map(|one| one.id().unwrap()).collect()
    }

    pub(crate) async fn look(&self, count: usize) -> Claim {
        self.look_at(count, Reach::All).await
    }

    pub(crate) async fn look_at(&self, count: usize, reach: Reach) -> Claim {
        linkspan_jobs::claim(&mut *self.conn().await, self.worker, count, WINDOW, reach)
            .await
            .unwrap()
    }

    pub(crate) async fn take(&self, count: usize) -> Vec<Claimed> {
        self.look(count).await.jobs
    }

    pub(crate) async fn settle(&self, job: &Claimed, outcome: Outcome) -> bool {
        let settled =
            linkspan_jobs::settle(&mut *self.conn().await, &[Settlement::new(job, outcome)])
                .await
                .unwrap();
        settled.ids == [job.id]
    }

    pub(crate) async fn succeed(&self, jobs: &[Claimed]) {
        let all: Vec<_> = jobs
            .iter()
            .map(|job| Settlement::new(job, Outcome::Succeeded(None)))
            .collect();
        let settled = linkspan_jobs::settle(&mut *self.conn().await, &all)
            .await
            .unwrap();
        assert_eq!(settled.ids.len(), jobs.len());
    }

    /// Makes what is delayed due, and ready.
    pub(crate) async fn promote_all(&self) -> usize {
        self.run("UPDATE jobs.jobs SET run_at = now() - interval '1 ms' WHERE state = 'delayed'")
            .await;
        let promoted = linkspan_jobs::promote::promote(&mut *self.conn().await).await;
        promoted.unwrap().count
    }

    pub(crate) async fn run(&self, sql: &str) {
        diesel::sql_query(sql)
            .execute(&mut *self.conn().await)
            .await
            .unwrap();
    }

    pub(crate) async fn count(&self, from: &str) -> i64 {
        count(&mut *self.conn().await, from).await
    }

    /// What `jobs.limits` says runs, and what does.
    pub(crate) async fn running(&self, key: &str) -> (i32, i64) {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Integer)]
            running: i32,
        }
        let row: Row = diesel::sql_query(format!(
            "SELECT running FROM jobs.limits WHERE key = '{key}'"
        ))
        .get_result(&mut *self.conn().await)
        .await
        .unwrap();
        let from = format!(
            "jobs.jobs WHERE state = 'running' AND (group_key = '{key}' OR tenant = '{key}')"
        );
        (row.running, self.count(&from).await)
    }
}

pub(crate) async fn count(conn: &mut Connection, from: &str) -> i64 {
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = BigInt)]
        count: i64,
    }
    let row: Row = diesel::sql_query(format!("SELECT count(*) AS count FROM {from}"))
        .get_result(conn)
        .await
        .unwrap();
    row.count
}
