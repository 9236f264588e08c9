//! What goes with a connection, an integration, an environment, a function and a
//! variant.

use http::Method;
use linkspan_shared::tenancy::environments;
use linkspan_syncs::{
    Claim, Error, Execution, Name, Natives, Reason, RunContext, RunSync, Running, Scope, Stopping,
};
use serde_json::{Map, Value, json};

use crate::world::{World, save};

/// Leaves something of everything.
fn leaving(context: &RunContext) -> Running<'_> {
    Box::pin(async {
        save(context, &["a", "b"], 1).await?;
        let mut value = Map::new();
        value.insert("at".to_owned(), 1.into());
        context.save_checkpoint(value).await
    })
}

/// Never ends by itself.
fn endless(context: &RunContext) -> Running<'_> {
    Box::pin(async {
        save(context, &["a"], 1).await?;
        context.stopping().await;
        // One that does not hear.
        std::future::pending::<()>().await;
        Ok(())
    })
}

const LEFT: &str = "SELECT (SELECT count(*) FROM syncs) + (SELECT count(*) FROM checkpoints) \
    + (SELECT count(*) FROM jobs.schedules WHERE key LIKE 'sync:%') \
    + (SELECT count(*) FROM jobs.jobs WHERE kind LIKE 'syncs.%') \
    + (SELECT count(*) FROM records.streams)";

async fn nothing_is_left(world: &World) {
    // What belongs to connections that are gone is looked for every minute.
    world.store.clean(&world.app.core).await.unwrap();
    world.until_number(LEFT, 0).await;
    world.store.sweep(u32::MAX).await.unwrap();
    assert_eq!(
        world.number("SELECT count(*) FROM records.records").await,
        0
    );
}

/// A world whose function has saved so many records.
async fn world(function: fn(&RunContext) -> Running<'_>, saved: i64) -> World {
    let world = World::new(Natives::new().with("items", function)).await;
    world.record(|_| ()).await;
    world
        .until_number("SELECT count(*) FROM records.records", saved)
        .await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_connection() {
    let world = world(leaving, 2).await;
    world
        .until("it succeeded", |status| {
            status.execution == Some(Execution::Success)
        })
        .await;
    assert!(world.number(LEFT).await >= 4);
    world.delete_connection().await;
    nothing_is_left(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_an_integration_while_a_run_is_under_way() {
    let world = world(endless, 1).await;
    let reply = world
        .app
        .call(Method::DELETE, "/integrations/demo", Value::Null)
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let live = "SELECT count(*) FROM jobs.jobs WHERE kind LIKE 'syncs.%'";
    world.until_number(live, 0).await;
    nothing_is_left(&world).await;
    world.end().await;
}

async fn delete_environment(world: &World) {
    let number = "SELECT number FROM environments WHERE name = 'dev'";
    let number = world.number(number).await;
    let account = world.app.dev.environment.account_id;
    environments::delete(&world.app.core, account, number)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_an_environment() {
    let world = world(leaving, 2).await;
    delete_environment(&world).await;
    nothing_is_left(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_deletes_an_environment_and_who_pauses_its_syncs_wait_for_each_other_in_turn() {
    let world = world(leaving, 2).await;
    // Who pauses has the sync's row, and comes no further.
    let admin = world.admin().await;
    let hold = "BEGIN; SELECT FROM jobs.schedules WHERE key LIKE 'sync:%' FOR UPDATE";
    admin.batch_execute(hold).await.unwrap();
    let scope = Scope {
        environment: world.environment,
        integration: "demo",
        connection: None,
        names: &[],
    };
    let waiting = "SELECT count(*) FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let pause = linkspan_syncs::pause(&world.app.core, &scope);
    let delete = async {
        world.until_number(waiting, 1).await;
        delete_environment(&world).await;
    };
    let release = async {
        world.until_number(waiting, 2).await;
        admin.batch_execute("COMMIT").await.unwrap();
    };
    let (paused, (), ()) = tokio::join!(pause, delete, release);
    paused.unwrap();
    nothing_is_left(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_function_and_others_stay() {
    let world = world(leaving, 2).await;
    let (core, environment) = (&world.app.core, world.environment);
    world
        .record(|function| function.name = "others".to_owned())
        .await;
    world
        .until_number(
            "SELECT count(*) FROM syncs WHERE run_status = 'succeeded'",
            2,
        )
        .await;
    linkspan_syncs::functions::remove(core, &world.store, environment, "demo", "items")
        .await
        .unwrap();
    world.until_number("SELECT count(*) FROM syncs", 1).await;
    let all = linkspan_syncs::functions::list(core, environment, "demo").await;
    let names: Vec<_> = all.unwrap().into_iter().map(|one| one.name).collect();
    assert_eq!(names, ["others"]);
    let gone = linkspan_syncs::functions::remove(core, &world.store, environment, "demo", "items");
    assert!(matches!(gone.await, Err(Error::UnknownSync { .. })));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_has_records_and_a_checkpoint_of_its_own_and_takes_them_along() {
    let world = world(leaving, 2).await;
    let (core, environment) = (&world.app.core, world.environment);
    let name = Name::parse("items::big");
    let of = ("demo", world.connection.as_str());
    linkspan_syncs::create_variant(core, environment, of, &name)
        .await
        .unwrap();
    let again = linkspan_syncs::create_variant(core, environment, of, &name).await;
    assert!(matches!(again, Err(Error::VariantExists { .. })));
    for word in ["base", "BASE"] {
        let name = Name::parse(&format!("items::{word}"));
        let refused = linkspan_syncs::create_variant(core, environment, of, &name).await;
        assert!(matches!(refused, Err(Error::ProtectedVariant(_))));
        let refused =
            linkspan_syncs::delete_variant(core, &world.store, environment, of, &name).await;
        assert!(matches!(refused, Err(Error::ProtectedVariant(_))));
    }
    let unknown = Name::parse("nothing::big");
    let refused = linkspan_syncs::create_variant(core, environment, of, &unknown).await;
    assert!(matches!(refused, Err(Error::UnknownSync { .. })));
    world
        .until_number(
            "SELECT count(*) FROM syncs WHERE run_status = 'succeeded'",
            2,
        )
        .await;
    assert_eq!(world.number("SELECT count(*) FROM checkpoints").await, 2);
    let live = "SELECT count(*) FROM jobs.jobs WHERE kind LIKE 'syncs.%'";
    world.until_number(live, 0).await;

    linkspan_syncs::delete_variant(core, &world.store, environment, of, &name)
        .await
        .unwrap();
    // At once, since no run of it was under way.
    assert_eq!(world.number("SELECT count(*) FROM syncs").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM checkpoints").await, 1);
    let streams = "SELECT count(*) FROM records.streams WHERE variant = 'big'";
    assert_eq!(world.number(streams).await, 0);
    assert_eq!(world.items().await.len(), 2);
    let gone = linkspan_syncs::delete_variant(core, &world.store, environment, of, &name).await;
    assert!(matches!(gone, Err(Error::UnknownVariant { .. })));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variant_that_runs_is_deleted_when_its_run_has_ended() {
    let world = world(endless, 1).await;
    let (core, environment) = (&world.app.core, world.environment);
    let name = Name::parse("items::big");
    let of = ("demo", world.connection.as_str());
    linkspan_syncs::create_variant(core, environment, of, &name)
        .await
        .unwrap();
    let streams = "SELECT count(*) FROM records.streams WHERE variant = 'big'";
    world.until_number(streams, 1).await;
    linkspan_syncs::delete_variant(core, &world.store, environment, of, &name)
        .await
        .unwrap();
    // Nobody sees it any more, and its name is free only when all of it is gone.
    assert_eq!(world.statuses().await.len(), 1);
    let early = linkspan_syncs::create_variant(core, environment, of, &name).await;
    assert!(
        matches!(early, Err(Error::VariantIsLeaving(_))),
        "{early:?}"
    );
    let body = json!({ "provider_config_key": "demo", "connection_id": "one" });
    let early = world.app.post("/sync/items/variant/big", body).await;
    assert_eq!((early.status.as_u16(), &*early.code()), (409, "conflict"));
    world.until_number("SELECT count(*) FROM syncs", 1).await;
    world.until_number(streams, 0).await;
    linkspan_syncs::create_variant(core, environment, of, &name)
        .await
        .unwrap();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_begins_while_its_sync_is_deleted_leaves_nothing() {
    let mut world = World::idle().await;
    world.record(|function| function.auto_start = false).await;
    world.work(Natives::new()).await;
    let sync = world.until("it is there", |_| true).await.id;
    world.stop_worker().await;
    // It has begun, and comes to no stream.
    let admin = world.admin().await;
    admin
        .batch_execute("BEGIN; LOCK TABLE records.streams IN SHARE MODE")
        .await
        .unwrap();
    let functions = Natives::new().with("items", leaving);
    let job = RunSync {
        environment: world.environment,
        sync,
        reason: Reason::Triggered,
    };
    let claim = Claim {
        job: 1,
        fence: 1_000,
        attempt: 1,
    };
    let stopping = Stopping::new();
    let core = &world.app.core;
    let run = linkspan_syncs::run(core, &world.store, &functions, &job, claim, &stopping);
    let deleted = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted \
            AND relation = 'records.streams'::regclass";
        world.until_number(waits, 1).await;
        let delete = "DELETE FROM syncs; COMMIT";
        admin.batch_execute(delete).await.unwrap();
    };
    let (ended, ()) = tokio::join!(run, deleted);
    assert!(matches!(ended, Err(Error::Stale)), "{ended:?}");
    let streams = "SELECT count(*) FROM records.streams";
    assert_eq!(world.number(streams).await, 0);
    world.end().await;
}
