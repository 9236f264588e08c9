//! The life of a sync: made, scheduled, paused, started, rescheduled.

use linkspan_shared::connections::syncing::Arrange;
use linkspan_syncs::{Error, Execution, Name, Natives, RunContext, Running, State};

use crate::world::{World, save};

fn one(context: &RunContext) -> Running<'_> {
    Box::pin(save(context, &["a"], 1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_gets_a_sync_of_each_function_and_it_runs() {
    let world = World::new(Natives::new().with("items", one)).await;
    world.record(|_| ()).await;
    let status = world
        .until("the first run succeeded", |status| {
            status.execution == Some(Execution::Success)
        })
        .await;
    assert_eq!(status.state, State::Success);
    assert!(status.is_initial && status.finished_at.is_some() && status.next_at.is_some());
    assert_eq!(status.frequency, "every hour");
    assert_eq!(status.result.unwrap()["Item"].added, 1);
    assert_eq!(status.record_count["Item"], 1);
    assert_eq!(world.items().await, [("a".to_owned(), 1)]);

    // A connection that comes later gets one with its own row.
    world.connect("two").await;
    world
        .until_number(
            "SELECT count(*) FROM syncs WHERE run_status = 'succeeded'",
            2,
        )
        .await;
    // Arranging again makes nothing.
    let integration = linkspan_syncs::functions::list(&world.app.core, world.environment, "demo")
        .await
        .unwrap()[0]
        .integration_id;
    let again = Arrange {
        environment: world.environment,
        integration,
        connection: None,
    };
    let made = linkspan_syncs::arrange(&world.app.core, &again, || false).await;
    assert_eq!(made.unwrap(), 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_auto_start_it_waits_until_it_is_started() {
    let world = World::new(Natives::new().with("items", one)).await;
    world.record(|function| function.auto_start = false).await;
    let status = world.until("it is there", |_| true).await;
    assert_eq!(status.state, State::Paused);
    assert_eq!((status.execution, status.next_at), (None, None));

    let core = &world.app.core;
    linkspan_syncs::start(core, &world.scope(&[]))
        .await
        .unwrap();
    let status = world
        .until("it ran", |status| status.execution.is_some())
        .await;
    assert!(status.next_at.is_some());
    let ran = "SELECT count(*) FROM jobs.finished WHERE kind = 'syncs.run'";
    world.until_number(ran, 1).await;
    // Who runs already is left alone.
    linkspan_syncs::start(core, &world.scope(&[]))
        .await
        .unwrap();
    assert_eq!(
        world
            .number("SELECT count(*) FROM jobs.jobs WHERE kind = 'syncs.run'")
            .await,
        0
    );
    linkspan_syncs::pause(core, &world.scope(&[]))
        .await
        .unwrap();
    let status = world.statuses().await.remove(0);
    assert_eq!((status.state, status.next_at), (State::Paused, None));
    // Paused, it still runs when it is triggered.
    linkspan_syncs::trigger(core, &world.scope(&[]), Default::default())
        .await
        .unwrap();
    world.until_number(ran, 2).await;
    assert_eq!(world.statuses().await[0].state, State::Paused);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_can_have_its_own_frequency() {
    let world = World::new(Natives::new().with("items", one)).await;
    world.record(|_| ()).await;
    world.until("it is there", |_| true).await;
    let core = &world.app.core;
    let items = Name::base("items");
    let set =
        async |text| linkspan_syncs::set_frequency(core, &world.scope(&[]), &items, text).await;
    let spec = "SELECT count(*) FROM jobs.schedules WHERE spec = 'every 30s' AND key LIKE 'sync:%'";
    assert_eq!(set(Some("30s")).await.unwrap(), "30s");
    assert_eq!(world.number(spec).await, 1);
    let next = world.statuses().await[0].next_at.unwrap();
    assert!(next <= chrono::Utc::now() + chrono::TimeDelta::seconds(31));
    assert!(matches!(set(Some("every 29s")).await, Err(Error::TooShort)));

    // The function's own frequency changes, and this connection keeps its own.
    world
        .record(|function| function.frequency = "every 2 hours".to_owned())
        .await;
    assert_eq!(world.number(spec).await, 1);
    assert_eq!(set(None).await.unwrap(), "every 2 hours");
    assert_eq!(world.number(spec).await, 0);
    assert_eq!(world.statuses().await[0].frequency, "every 2 hours");
    // Without its own it follows the function.
    world
        .record(|function| function.frequency = "every 30s".to_owned())
        .await;
    assert_eq!(world.number(spec).await, 1);
    let other = Name::base("others");
    let unknown = linkspan_syncs::set_frequency(core, &world.scope(&[]), &other, None).await;
    assert!(matches!(unknown, Err(Error::UnknownSync { .. })));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_there_cannot_be_told() {
    let world = World::idle().await;
    world.record(|_| ()).await;
    let core = &world.app.core;
    let names = [Name::base("items")];
    let told = linkspan_syncs::start(core, &world.scope(&names)).await;
    assert!(matches!(told, Err(Error::NoSyncs(Some(name))) if name == "items"));
    let mut scope = world.scope(&[]);
    scope.connection = None;
    let told = linkspan_syncs::pause(core, &scope).await;
    assert!(matches!(told, Err(Error::NoSyncs(None))));
    scope.connection = Some("nobody");
    let told = linkspan_syncs::pause(core, &scope).await;
    assert!(matches!(
        told,
        Err(Error::Core(
            linkspan_shared::Error::UnknownConnection { .. }
        ))
    ));
    scope.integration = "nothing";
    let told = linkspan_syncs::pause(core, &scope).await;
    assert!(matches!(
        told,
        Err(Error::Core(linkspan_shared::Error::UnknownIntegration(_)))
    ));
    // Another environment's are not there either.
    scope = world.scope(&[]);
    scope.environment = world.app.prod.environment.id;
    let told = linkspan_syncs::pause(core, &scope).await;
    assert!(matches!(
        told,
        Err(Error::Core(linkspan_shared::Error::UnknownIntegration(_)))
    ));
    world.end().await;
}
