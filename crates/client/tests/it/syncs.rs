//! Syncs of connections, with a worker that runs them.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use linkspan_client::{ErrorCode, SyncState, SyncStatus, SyncType, Syncs};
use linkspan_syncs::{Definition, Natives, native};
use linkspan_testkit::TestApp;
use linkspan_worker::kinds::{self, Retention};
use linkspan_worker::{Running, Settings};
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

use crate::client;

/// How long something may take to become so.
const PATIENCE: Duration = Duration::from_secs(30);

/// A worker with the function `contacts`, which saves two records.
fn worker(app: &TestApp) -> Running {
    let contacts = native(|context| {
        Box::pin(async {
            let record = |id: u32| to_raw_value(&json!({ "id": id })).unwrap();
            let records = vec![record(1), record(2)];
            context.batch_save("Contact", records).await?;
            let checkpoint = json!({ "page": 2 }).as_object().cloned().unwrap();
            context.save_checkpoint(checkpoint).await
        })
    });
    let functions = Arc::new(Natives::new().with("contacts", contacts));
    let retention = Retention {
        finished_days: 7,
        dead_days: 7,
        prune_records_after_days: None,
        delete_records_after_days: None,
    };
    linkspan_worker::start(
        app.core.db.clone(),
        app.core.jobs.clone(),
        kinds::registry(&app.core, retention, functions),
        Settings {
            slots: 2,
            lease: Duration::from_secs(5),
            poll: Duration::from_millis(20),
            drain: Duration::from_millis(100),
            listen: None,
        },
    )
}

async fn eventually<T, F: Future<Output = Option<T>>>(mut look: impl FnMut() -> F) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, looking).await.unwrap()
}

/// The only sync, once it has run since `earlier`.
async fn ran(syncs: &Syncs, earlier: Option<&SyncStatus>) -> SyncStatus {
    eventually(|| async {
        let one = syncs.status().await.unwrap().pop()?;
        let before = earlier.and_then(|earlier| earlier.finished_at);
        (one.finished_at.is_some() && one.finished_at != before).then_some(one)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_are_told_what_to_do_and_say_how_they_are() {
    let app = TestApp::start().await;
    let id = app.connect_demo().await;
    let (core, environment) = (&app.core, app.dev.environment.id);
    let definition = Definition::native("contacts", &["Contact"]);
    let recorded = linkspan_syncs::functions::record(core, environment, "demo", &definition);
    recorded.await.unwrap();
    let worker = worker(&app);
    let linkspan = client(&app);
    let connection = linkspan.connection("demo", &id);
    let syncs = connection.syncs();

    let first = ran(&syncs, None).await;
    assert_eq!(
        (&*first.connection_id, &*first.name, &*first.variant),
        (&*id, "contacts", "base")
    );
    assert_eq!(
        (first.status, first.kind),
        (SyncState::Success, SyncType::Initial)
    );
    assert_eq!(first.latest_execution_status, Some(SyncState::Success));
    assert_eq!(first.latest_result.as_ref().unwrap()["Contact"].added, 2);
    assert_eq!(first.record_count["Contact"], 2);
    assert_eq!(first.checkpoint.as_ref().unwrap()["page"], Value::from(2));
    assert!(first.next_scheduled_sync_at.is_some());

    syncs.clone().named("contacts").trigger().await.unwrap();
    let second = ran(&syncs, Some(&first)).await;
    assert_eq!(second.kind, SyncType::Incremental);
    syncs.reset(true).await.unwrap();
    let third = ran(&syncs, Some(&second)).await;
    assert_eq!(third.kind, SyncType::Initial);
    assert_eq!(third.latest_result.as_ref().unwrap()["Contact"].added, 2);
    // Of every connection of the integration.
    linkspan.syncs("demo").pause().await.unwrap();
    let paused = syncs.status().await.unwrap();
    assert_eq!(
        (paused[0].status, paused[0].next_scheduled_sync_at),
        (SyncState::Paused, None)
    );
    syncs.start().await.unwrap();
    assert_eq!(ran(&syncs, Some(&third)).await.status, SyncState::Success);

    let contacts = connection.sync("contacts");
    let frequency = contacts.set_frequency(Some("every 5 minutes")).await;
    assert_eq!(frequency.unwrap(), "5 minutes");
    assert_eq!(
        syncs.status().await.unwrap()[0].frequency.as_deref(),
        Some("5 minutes")
    );
    assert_eq!(contacts.set_frequency(None).await.unwrap(), "every hour");
    let error = contacts
        .set_frequency(Some("every second"))
        .await
        .unwrap_err();
    assert_eq!(
        error.code(),
        Some(ErrorCode::SyncIntervalTooShort),
        "{error}"
    );

    let variant = contacts.create_variant("eu").await.unwrap();
    let error = contacts.create_variant("eu").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::SyncVariantAlreadyExists));
    let eu = ran(&syncs.clone().variant("contacts", "eu"), None).await;
    assert_eq!((&eu.id, &*eu.variant), (&variant, "eu"));
    contacts.delete_variant("eu").await.unwrap();
    let error = contacts.delete_variant("eu").await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NotFound));

    let error = syncs.named("nothing").trigger().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::NoSyncsFound));
    let nobody = linkspan.connection("demo", "nobody").syncs();
    let error = nobody.status().await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::UnknownConnection));
    worker.stop().await;
    app.stop().await;
}
