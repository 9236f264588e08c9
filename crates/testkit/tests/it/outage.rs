//! The database goes away, or has no room.

use std::time::{Duration, SystemTime};

use linkspan_shared::db::migrate::{self, Group};
use linkspan_shared::db::{Connection, scalar};
use linkspan_testkit::OwnPostgres;
use linkspan_testkit::workload::{Link, Work};

use crate::world::{World, eventually, job};

/// A Postgres that may be stopped, with the tables of jobs.
async fn own(max_connections: u16) -> (OwnPostgres, World) {
    let own = OwnPostgres::with_connections(max_connections);
    let url = own.url();
    migrate::run(&url, Group::Control).await.unwrap();
    let world = World::at(url.clone(), url, None).await;
    (own, world)
}

/// The processes that work when it goes are those that finish when it is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_under_load_costs_no_worker_and_no_job() {
    let (mut database, world) = own(100).await;
    let work = |n: u64| {
        let work = Work {
            takes: n % 30,
            fails: u16::from(n.is_multiple_of(10)),
        };
        job(&work).group((n % 5).to_string())
    };
    let mut jobs: Vec<_> = (0..600).map(work).collect();
    jobs.push(job(&Link { left: 20 }));
    world.add(&jobs).await;
    let mut workers = [world.start("a").await, world.start("b").await];
    for done in [100, 300] {
        let is_far = async || {
            let finished = world.try_count("jobs.finished").await;
            finished.is_some_and(|finished| finished >= done)
        };
        assert!(eventually(is_far).await);
        database.stop();
        database.start();
    }
    world.until(0, "jobs.jobs").await;
    world
        .until(621, "jobs.finished WHERE outcome = 'succeeded'")
        .await;
    world.is_sound().await;
    for worker in &mut workers {
        assert!(worker.is_running());
    }
    for worker in workers {
        worker.stop().await.unwrap();
    }
    assert_eq!(world.count("jobs.workers").await, 0);
    drop(world);
    database.stop();
}

/// Every connection is somebody else's for longer than a lease lives.
#[tokio::test(flavor = "multi_thread")]
async fn without_connections_a_worker_waits_until_there_are_some() {
    let (mut database, world) = own(20).await;
    world.add(&[job(&Work { takes: 1, fails: 0 })]).await;
    let mut worker = world.start("a").await;
    world.until(1, "jobs.finished").await;
    let mine = world.conn().await;
    let url = secrecy::ExposeSecret::expose_secret(&database.url()).to_owned();
    let mut taken = Vec::new();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() \
        AND application_name <> 'taken'";
    let named = format!("{url}?application_name=taken");
    let is_out = async {
        while taken.len() < 19 {
            mine.client().batch_execute(others).await.unwrap();
            while let Ok(one) = Connection::connect(&named).await {
                taken.push(one);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), is_out)
        .await
        .expect("all are taken");
    let add = linkspan_jobs::NewJob::new(&Link { left: 3 }).unwrap();
    let mut mine = mine;
    linkspan_jobs::enqueue(&mut mine, &[add]).await.unwrap();
    // By then others would have given it up.
    let gone: Result<(), _> = tokio::time::timeout(Duration::from_secs(20), async {
        let sql = "SELECT count(*) FROM jobs.workers WHERE expires_at > now()";
        while linkspan_shared::db::scalar::<i64>(&mine, sql)
            .await
            .unwrap()
            > 0
        {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(gone.is_ok() && worker.is_running());
    drop(taken);
    drop(mine);
    world
        .until(5, "jobs.finished WHERE outcome = 'succeeded'")
        .await;
    world.is_sound().await;
    worker.stop().await.unwrap();
    drop(world);
    database.stop();
}

/// The outage outlasts every lease. Nobody takes jobs from workers that live on: each
/// run counts.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_longer_than_a_lease_takes_no_jobs_from_workers_that_live() {
    let (mut database, world) = own(100).await;
    let work = Work {
        takes: 8_000,
        fails: 0,
    };
    world
        .add(&(0..8).map(|_| job(&work)).collect::<Vec<_>>())
        .await;
    let workers = [world.start("a").await, world.start("b").await];
    world.until(8, "test_runs").await;
    let leases = "SELECT extract(epoch FROM max(expires_at)) * 1000 FROM jobs.workers";
    let leases = format!("SELECT ({leases})::bigint");
    let leases: i64 = scalar(&*world.conn().await, &leases).await.unwrap();
    database.stop();
    // By the clock of the machine, which is the database's too.
    let have_run_out = async || {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        i64::try_from(now.unwrap().as_millis()).unwrap() > leases + 600
    };
    assert!(eventually(have_run_out).await);
    database.start();
    world
        .until(8, "jobs.finished WHERE outcome = 'succeeded'")
        .await;
    assert_eq!(world.count("jobs.finished WHERE attempt = 1").await, 8);
    assert_eq!(world.count("test_runs").await, 8);
    world.is_sound().await;
    for worker in workers {
        worker.stop().await.unwrap();
    }
    drop(world);
    database.stop();
}
