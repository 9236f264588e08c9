//! A table full of schedules.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use linkspan_db::Database;
use linkspan_jobs::{Kind as _, Waker, schedules};
use linkspan_worker::{Settings, start};
use metrics::{
    Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString, Unit,
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::latency::at;
use crate::noop::{ACCOUNTS, Noop, counting};
use crate::queue::{finished, forget_finished, settle_down};

/// Between two times of a schedule, in seconds.
const EVERY: u64 = 30;
/// Schedules that one look takes.
const PAGE: u64 = 1_000;
/// The first seconds of a worker do not count: what was due before it came waits.
const WARM_UP: Duration = Duration::from_secs(3);

/// Makes schedules that are due later, and then has thousands be due at once.
pub(crate) async fn ticks(db: &Database, count: u64, looks: usize) -> Result<Value> {
    let mut conn = db.conn().await?;
    let sql = format!(
        "INSERT INTO jobs.schedules (key, kind, payload, tenant, group_key, priority, \
            run_limit_ms, max_attempts, spec, next_at) \
         SELECT 'bench-' || n, '{}', json_build_object('id', n), 'bench', \
            'account-' || n % {ACCOUNTS}, 1, 60000, 5, 'every {EVERY}s', \
            now() + interval '1 hour' + n % {EVERY} * interval '1 s' \
         FROM generate_series(1, {count}) AS n",
        Noop::NAME
    );
    conn.client().batch_execute(&sql).await?;
    settle_down(db).await?;
    let idle = looked(&mut conn, looks, 0).await?;
    let due = PAGE * u64::try_from(looks)?;
    let sql = format!("UPDATE jobs.schedules SET next_at = now() WHERE id <= {due}");
    conn.client().batch_execute(&sql).await?;
    let busy = looked(&mut conn, looks, PAGE.min(count)).await?;
    // What was made goes, and all schedules are spread as they spread themselves.
    let sql = format!(
        "TRUNCATE jobs.jobs; UPDATE jobs.schedules \
         SET next_at = now() + (2 + random() * {EVERY}) * interval '1 s'"
    );
    conn.client().batch_execute(&sql).await?;
    settle_down(db).await?;
    Ok(json!({ "idle_ms": idle, "thousand_ms": busy }))
}

/// The median of looks, each of which must find as many.
async fn looked(conn: &mut linkspan_db::Connection, looks: usize, each: u64) -> Result<f64> {
    let mut took = Vec::new();
    for _ in 0..looks {
        let begun = Instant::now();
        let tick = schedules::tick(conn).await?;
        took.push(begun.elapsed().as_secs_f64() * 1e3);
        if u64::try_from(tick.made)? != each {
            bail!(
                "{} jobs were made where {each} schedules were due",
                tick.made
            );
        }
    }
    took.sort_by(f64::total_cmp);
    at(&took, 50).context("no look")
}

/// Runs a worker and reads from its metrics how late it was.
pub(crate) async fn lateness(db: &Database, seconds: u64) -> Result<Value> {
    forget_finished(db).await?;
    let watched = Watched::default();
    if metrics::set_global_recorder(watched.clone()).is_err() {
        bail!("the metrics go elsewhere");
    }
    let runs = Arc::new(AtomicU64::new(0));
    let settings = Settings {
        slots: 100,
        lease: Duration::from_secs(30),
        poll: Duration::from_secs(1),
        drain: Duration::from_secs(10),
        listen: None,
    };
    let worker = start(db.clone(), Waker::new(), counting(&runs), settings);
    sleep(WARM_UP).await;
    watched.take(LATENESS);
    watched.take(DELAY);
    sleep(Duration::from_secs(seconds)).await;
    let (late, delay) = (watched.take(LATENESS), watched.take(DELAY));
    worker.stop().await;
    Ok(json!({
        "ticked": late.len(),
        "late_p50_ms": at(&late, 50),
        "late_p99_ms": at(&late, 99),
        "started": delay.len(),
        "start_p99_ms": at(&delay, 99),
        "finished": finished(db).await?,
    }))
}

const LATENESS: &str = "linkspan_schedule_lateness_seconds";
const DELAY: &str = "linkspan_job_start_delay_seconds";

/// Keeps what two histograms are told.
#[derive(Clone, Default)]
struct Watched {
    lateness: Arc<Values>,
    delay: Arc<Values>,
}

#[derive(Default)]
struct Values(Mutex<Vec<f64>>);

impl HistogramFn for Values {
    fn record(&self, value: f64) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(value * 1e3);
    }
}

impl Watched {
    fn of(&self, name: &str) -> Option<&Arc<Values>> {
        match name {
            LATENESS => Some(&self.lateness),
            DELAY => Some(&self.delay),
            _ => None,
        }
    }

    /// What was told so far, sorted, in milliseconds.
    fn take(&self, name: &str) -> Vec<f64> {
        let Some(values) = self.of(name) else {
            return Vec::new();
        };
        let mut values =
            std::mem::take(&mut *values.0.lock().unwrap_or_else(PoisonError::into_inner));
        values.sort_by(f64::total_cmp);
        values
    }
}

impl Recorder for Watched {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::noop()
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        match self.of(key.name()) {
            Some(values) => Histogram::from_arc(Arc::clone(values)),
            None => Histogram::noop(),
        }
    }
}
