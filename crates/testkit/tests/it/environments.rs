//! An environment that is deleted, and its jobs.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use linkspan_jobs::{Kind as _, NewJob, enqueue, schedules};
use linkspan_shared::db::scalar;
use linkspan_shared::tenancy::end_jobs::EndJobs;
use linkspan_syncs::Natives;
use linkspan_testkit::TestApp;
use linkspan_testkit::workload::{Hopeless, Wait};
use linkspan_worker::kinds::{self, Retention};
use linkspan_worker::{Failure, Settings};
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::world::eventually;

async fn count(app: &TestApp, from: &str) -> i64 {
    let conn = app.core.db.conn().await.unwrap();
    let sql = format!("SELECT count(*) FROM {from}");
    scalar(&conn, &sql).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn its_jobs_end_with_it_and_its_schedules_make_no_more() {
    let app = TestApp::start().await;
    let made = app
        .post("/environments", json!({ "name": "staging" }))
        .await;
    let number = made.json()["data"]["id"].as_i64().unwrap();
    let conn = app.core.db.conn().await.unwrap();
    let ids = "SELECT string_agg(id::text, ' ' ORDER BY name = 'staging') FROM environments \
        WHERE name IN ('dev', 'staging')";
    let ids: String = scalar(&conn, ids).await.unwrap();
    let (dev, staging) = ids.split_once(' ').unwrap();
    drop(conn);

    let begun = Arc::new(Notify::new());
    let retention = Retention {
        finished_days: 7,
        dead_days: 30,
        prune_records_after_days: NonZeroU32::new(1),
        delete_records_after_days: None,
    };
    let registry = {
        let begun = Arc::clone(&begun);
        kinds::registry(&app.core, retention, Arc::new(Natives::new())).with(
            move |Wait, context| {
                let begun = Arc::clone(&begun);
                async move {
                    begun.notify_one();
                    context.ending().await;
                    Err::<(), _>(Failure::new("it was told to end"))
                }
            },
        )
    };
    let mut conn = app.core.db.conn().await.unwrap();
    let of = |tenant: &str| NewJob::new(&Wait).unwrap().tenant(tenant);
    let hour = Duration::from_secs(3_600);
    let jobs = [of(staging), of(staging).delay(hour), of(dev).delay(hour)];
    enqueue(&mut conn, &jobs).await.unwrap();
    for (key, tenant) in [("theirs", staging), ("others", dev)] {
        let job = NewJob::new(&Hopeless).unwrap().tenant(tenant);
        schedules::create(&mut conn, key, "every hour", &job)
            .await
            .unwrap();
    }
    drop(conn);
    let worker = linkspan_worker::start(
        app.core.db.clone(),
        app.core.jobs.clone(),
        registry,
        Settings {
            slots: 4,
            lease: Duration::from_secs(60),
            poll: Duration::from_millis(50),
            drain: Duration::ZERO,
            listen: None,
        },
    );
    begun.notified().await;

    // A deletion that is refused leaves no job.
    let prod = "SELECT number FROM environments WHERE name = 'prod'";
    let prod: i64 = scalar(&app.core.db.conn().await.unwrap(), prod)
        .await
        .unwrap();
    let refused = app
        .call(
            Method::DELETE,
            &format!("/environments/{prod}"),
            Value::Null,
        )
        .await;
    assert_eq!(refused.status, 400, "{refused:?}");
    let kind = EndJobs::NAME;
    let ends = format!(
        "(SELECT id FROM jobs.jobs WHERE kind = '{kind}' \
        UNION ALL SELECT id FROM jobs.finished WHERE kind = '{kind}') AS ends"
    );
    assert_eq!(count(&app, &ends).await, 0);

    let path = format!("/environments/{number}");
    let deleted = app.call(Method::DELETE, &path, Value::Null).await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    assert_eq!(count(&app, &ends).await, 1);
    let done = format!("jobs.finished WHERE kind = '{kind}' AND outcome = 'succeeded'");
    assert!(eventually(async || count(&app, &done).await == 1).await);
    let left = format!("jobs.jobs WHERE tenant = '{staging}'");
    assert_eq!(count(&app, &left).await, 0);
    let cancelled = format!("jobs.finished WHERE tenant = '{staging}' AND outcome = 'cancelled'");
    assert_eq!(count(&app, &cancelled).await, 2);
    assert_eq!(count(&app, "jobs.schedules WHERE key = 'theirs'").await, 0);
    assert_eq!(count(&app, "jobs.schedules WHERE key = 'others'").await, 1);
    let others = format!("jobs.jobs WHERE tenant = '{dev}' AND state = 'delayed'");
    assert_eq!(count(&app, &others).await, 1);
    worker.stop().await;
    app.stop().await;
}
