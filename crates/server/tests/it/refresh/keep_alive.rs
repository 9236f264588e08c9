//! Connections that nobody uses (CONTRACT 2.8).

use chrono::TimeDelta;
use linkspan_shared::connections::keep_alive::{Report, keep_alive};
use linkspan_testkit::TestApp;

use super::fixture::{EXPIRED, age, app, connect, get, refuse_next, tokens};

/// As if nobody had fetched it for long.
const UNUSED: &str = "last_fetched_at = now() - interval '25 hours', keep_alive_at = now()";
const DUE: &str = "keep_alive_at = now()";

async fn looked_after(app: &TestApp) -> (usize, usize) {
    let report = keep_alive(&app.core).await.unwrap();
    (report.kept, report.failed)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_unused_are_refreshed_once_by_one_of_many() {
    let app = app().await;
    let control = app.provider.control();
    for n in 0..130 {
        let id = format!("c{n}");
        connect(&app, &id, EXPIRED).await;
        age(&app, &id, UNUSED).await;
    }
    let many = (0..4).map(|_| looked_after(&app));
    let reports = futures_util::future::join_all(many).await;
    let kept: usize = reports.iter().map(|(kept, _)| kept).sum();
    assert_eq!(kept, 130, "{reports:?}");
    assert_eq!(control.token_requests(), 130);
    assert_eq!(keep_alive(&app.core).await.unwrap(), Report::default());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_used_the_unexpired_and_the_exhausted_are_left_alone() {
    let app = app().await;
    connect(&app, "used", EXPIRED).await;
    age(&app, "used", DUE).await;
    connect(&app, "exhausted", EXPIRED).await;
    age(&app, "exhausted", UNUSED).await;
    age(&app, "exhausted", "refresh_failure_days = 4").await;
    let old = connect(&app, "unexpired", TimeDelta::hours(2)).await;
    age(&app, "unexpired", UNUSED).await;
    assert_eq!(
        looked_after(&app).await,
        (1, 0),
        "the unexpired was looked at"
    );
    assert_eq!(app.provider.control().token_requests(), 0);
    assert_eq!(tokens(&get(&app, "unexpired").await), old);
    assert_eq!(looked_after(&app).await, (0, 0));
}

/// One that fails is tried again before the day is over.
#[tokio::test(flavor = "multi_thread")]
async fn the_failed_are_looked_at_again_in_an_hour() {
    let app = app().await;
    connect(&app, "one", EXPIRED).await;
    age(&app, "one", UNUSED).await;
    refuse_next(&app);
    assert_eq!(looked_after(&app).await, (0, 1));
    assert_eq!(looked_after(&app).await, (0, 0));
    let an_hour = "keep_alive_at = keep_alive_at - interval '61 minutes', \
                   last_refresh_failure_at = last_refresh_failure_at - interval '61 minutes'";
    age(&app, "one", an_hour).await;
    assert_eq!(looked_after(&app).await, (1, 0));
    age(&app, "one", an_hour).await;
    assert_eq!(
        looked_after(&app).await,
        (0, 0),
        "a success lasts for a day"
    );
}
