//! `/sync/…`.

use http::Method;
use linkspan_records::Store;
use linkspan_shared::connections::syncing::Arrange;
use linkspan_shared::db::scalar;
use linkspan_syncs::{
    Claim, Definition, Ended, Natives, Reason, RunContext, RunSync, Running, Stopping,
};
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

/// An app with a connection, whose id this is, and the function `contacts` of the
/// models `Contact` and `Company`.
struct World {
    app: TestApp,
    connection: String,
}

fn contacts(context: &RunContext) -> Running<'_> {
    Box::pin(async {
        let record = |id: u32| serde_json::value::to_raw_value(&json!({ "id": id })).unwrap();
        context
            .batch_save("Contact", vec![record(1), record(2)])
            .await?;
        let value = json!({ "page": 2, "at": "2026-11-23" });
        let value = value.as_object().unwrap().clone();
        context.save_checkpoint(value).await
    })
}

impl World {
    async fn new() -> Self {
        let app = TestApp::start().await;
        let connection = app.connect_demo().await;
        let world = Self { app, connection };
        let definition = Definition::native("contacts", &["Contact", "Company"]);
        let (core, environment) = (&world.app.core, world.app.dev.environment.id);
        let recorded = linkspan_syncs::functions::record(core, environment, "demo", &definition);
        let arrange = Arrange {
            environment,
            integration: recorded.await.unwrap().integration_id,
            connection: None,
        };
        let made = linkspan_syncs::arrange(core, &arrange, || false).await;
        assert_eq!(made.unwrap(), 1);
        world
    }

    async fn post(&self, path: &str, body: Value) -> Reply {
        self.app.post(path, body).await
    }

    async fn status(&self, syncs: &str) -> Reply {
        let connection = &self.connection;
        self.app
            .get(&format!(
                "/sync/status?syncs={syncs}&provider_config_key=demo&connection_id={connection}"
            ))
            .await
    }

    async fn one(&self) -> Value {
        self.status("*").await.json()["syncs"][0].clone()
    }

    fn of(&self, more: Value) -> Value {
        let mut body = json!({
            "provider_config_key": "demo",
            "connection_id": self.connection,
        });
        body.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        body
    }

    /// Runs the connection's first sync as a worker does.
    async fn run(&self) {
        let core = &self.app.core;
        let sync = self.one().await["id"].as_str().unwrap().parse().unwrap();
        let job = RunSync {
            environment: self.app.dev.environment.id,
            sync,
            reason: Reason::Triggered,
        };
        let fence = self.number("SELECT nextval('jobs.fences')").await;
        let claim = Claim {
            job: fence,
            fence,
            attempt: 1,
        };
        let natives = Natives::new().with("contacts", contacts);
        let store = Store::of(core);
        let stopping = Stopping::new();
        let ended = linkspan_syncs::run(core, &store, &natives, &job, claim, &stopping);
        assert_eq!(ended.await.unwrap(), Ended::Done);
    }

    async fn number(&self, sql: &str) -> i64 {
        let conn = self.app.core.db.conn().await.unwrap();
        scalar(&conn, sql).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_status_says_what_was_synced_and_what_comes() {
    let world = World::new().await;
    let before = world.one().await;
    let keys = |value: &Value| {
        let keys = value.as_object().unwrap().keys().cloned();
        keys.collect::<std::collections::BTreeSet<_>>()
    };
    let always = [
        "checkpoint",
        "connection_id",
        "frequency",
        "id",
        "name",
        "nextScheduledSyncAt",
        "recordCount",
        "status",
        "type",
        "variant",
    ];
    assert_eq!(keys(&before), always.map(str::to_owned).into());
    assert_eq!(before["status"], "SUCCESS");
    assert_eq!(before["type"], "INITIAL");
    assert_eq!(before["checkpoint"], Value::Null);
    assert_eq!(before["recordCount"], json!({ "Company": 0, "Contact": 0 }));
    world.run().await;
    let after = world.one().await;
    let mut all: std::collections::BTreeSet<String> = always.map(str::to_owned).into();
    all.extend(["finishedAt", "latestResult", "latestExecutionStatus"].map(str::to_owned));
    assert_eq!(keys(&after), all);
    assert_eq!(after["latestExecutionStatus"], "SUCCESS");
    let counts = json!({ "Contact": { "added": 2, "updated": 0, "deleted": 0 } });
    assert_eq!(after["latestResult"], counts);
    assert_eq!(after["recordCount"], json!({ "Company": 0, "Contact": 2 }));
    assert_eq!(
        after["checkpoint"],
        json!({ "page": 2, "at": "2026-11-23" })
    );
    assert_eq!(after["frequency"], "every hour");
    assert_eq!(after["connection_id"], world.connection);
    assert_eq!(
        (&after["name"], &after["variant"]),
        (&"contacts".into(), &"base".into())
    );
    world.run().await;
    let again = world.one().await;
    assert_eq!(again["type"], "INCREMENTAL");
    let counts = json!({ "Contact": { "added": 0, "updated": 0, "deleted": 0 } });
    assert_eq!(again["latestResult"], counts);

    // Those that there are not are left out, and who is not there is said.
    for (syncs, count) in [
        ("contacts", 1),
        ("contacts::base,other", 1),
        ("contacts::big", 0),
    ] {
        let found = world.status(syncs).await.json();
        assert_eq!(found["syncs"].as_array().unwrap().len(), count, "{syncs}");
    }
    let nobody = "/sync/status?syncs=*&provider_config_key=demo&connection_id=nobody";
    let reply = world.app.get(nobody).await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.code()),
        (400, "unknown_connection")
    );
    let reply = world
        .app
        .get("/sync/status?syncs=*&provider_config_key=no")
        .await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.code()),
        (400, "unknown_provider_config")
    );
    let reply = world.app.get("/sync/status?syncs=*").await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.code()),
        (400, "invalid_query_params")
    );
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_says_what_to_do_first_in_the_new_way_or_the_old() {
    let world = World::new().await;
    let due = async || {
        let reset = world
            .number("SELECT is_reset_due::int::bigint FROM syncs")
            .await;
        let empty = world
            .number("SELECT empties_asked - empties_done FROM syncs")
            .await;
        (reset, empty)
    };
    for (more, wanted) in [
        (json!({}), (0, 0)),
        (json!({ "opts": {} }), (0, 0)),
        (json!({ "full_resync": false }), (0, 0)),
        (
            json!({ "sync_mode": "incremental", "full_resync": true }),
            (0, 0),
        ),
        (json!({ "opts": { "reset": true } }), (1, 0)),
        (
            json!({ "opts": { "reset": true, "emptyCache": true } }),
            (1, 1),
        ),
        (json!({ "full_resync": true }), (1, 0)),
        (json!({ "sync_mode": "full_refresh" }), (1, 0)),
        (
            json!({ "sync_mode": "full_refresh_and_clear_cache" }),
            (1, 1),
        ),
    ] {
        let body = world.of(json!({ "syncs": ["contacts"] }));
        let mut body = body.as_object().unwrap().clone();
        body.extend(more.as_object().unwrap().clone());
        let reply = world.post("/sync/trigger", body.into()).await;
        assert_eq!(reply.json(), json!({ "success": true }), "{more}");
        assert_eq!(due().await, wanted, "{more}");
        world.run().await;
        assert_eq!(due().await, (0, 0), "{more}");
    }
    for mixed in [
        json!({ "syncs": [], "opts": { "reset": true }, "full_resync": false }),
        json!({ "syncs": [], "opts": {}, "sync_mode": "incremental" }),
    ] {
        let reply = world.post("/sync/trigger", world.of(mixed)).await;
        assert_eq!(
            (reply.status.as_u16(), &*reply.code()),
            (400, "invalid_body")
        );
    }
    let reply = world.post("/sync/trigger", json!({ "syncs": [] })).await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.code()),
        (400, "missing_provider_config_key")
    );
    let named = [
        ("Provider-Config-Key", "demo"),
        ("Connection-Id", world.connection.as_str()),
    ];
    let key = &world.app.dev.api_key;
    let body = json!({ "syncs": [{ "name": "contacts", "variant": "base" }] });
    let reply = world
        .app
        .call_as(key, Method::POST, "/sync/trigger", &named, body)
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let many: Vec<_> = (0..257).map(|number| number.to_string()).collect();
    for (syncs, code) in [
        (json!(["other"]), "no_syncs_found"),
        (json!(["contacts::big"]), "no_syncs_found"),
        (json!(many), "invalid_body"),
        (json!([{ "name": "contacts" }]), "invalid_body"),
    ] {
        let reply = world
            .post("/sync/trigger", world.of(json!({ "syncs": syncs })))
            .await;
        assert_eq!((reply.status.as_u16(), &*reply.code()), (400, code));
    }
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn syncs_are_paused_started_and_rescheduled() {
    let world = World::new().await;
    let all = || json!({ "syncs": [], "provider_config_key": "demo" });
    let reply = world.post("/sync/pause", all()).await;
    assert_eq!(reply.json(), json!({ "success": true }));
    let paused = world.one().await;
    assert_eq!(paused["status"], "PAUSED");
    assert_eq!(paused["nextScheduledSyncAt"], Value::Null);
    let reply = world.post("/sync/start", all()).await;
    assert_eq!(reply.json(), json!({ "success": true }));
    let started = world.one().await;
    assert_eq!(started["status"], "SUCCESS");
    assert!(started["nextScheduledSyncAt"].is_string());

    let put = async |more: Value| {
        let mut body = world.of(json!({ "sync_name": "contacts" }));
        let more = more.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(more);
        let path = "/sync/update-connection-frequency";
        world.app.call(Method::PUT, path, body).await
    };
    for (given, told) in [
        (json!("every half hour"), "30m"),
        (json!("every 5 minutes"), "5 minutes"),
        (json!("1h"), "1h"),
        (json!("30s"), "30s"),
        (Value::Null, "every hour"),
    ] {
        let reply = put(json!({ "frequency": given })).await;
        assert_eq!(reply.json(), json!({ "frequency": told }), "{given}");
    }
    for (more, code) in [
        (
            json!({ "frequency": "every 29s" }),
            "sync_interval_too_short",
        ),
        (json!({ "frequency": "now and then" }), "invalid_body"),
        (json!({}), "invalid_body"),
        (
            json!({ "frequency": "1h", "sync_variant": "big" }),
            "unknown_sync",
        ),
        (
            json!({ "frequency": "1h", "sync_name": "other" }),
            "unknown_sync",
        ),
        (
            json!({ "frequency": "1h", "connection_id": "nobody" }),
            "unknown_connection",
        ),
    ] {
        let reply = put(more.clone()).await;
        assert_eq!(
            (reply.status.as_u16(), &*reply.code()),
            (400, code),
            "{more}"
        );
    }
    world.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_gets_variants_of_a_sync_and_loses_them() {
    let world = World::new().await;
    let path = "/sync/contacts/variant/big";
    let call =
        async |method: Method, path: &str| world.app.call(method, path, world.of(json!({}))).await;
    let made = call(Method::POST, path).await;
    assert_eq!(made.status, 200, "{made:?}");
    let made = made.json();
    assert_eq!(
        (&made["name"], &made["variant"]),
        (&"contacts".into(), &"big".into())
    );
    let found = world.status("contacts::big").await.json();
    assert_eq!(found["syncs"][0]["id"], made["id"]);
    for (method, path, status, code) in [
        (Method::POST, path, 400, "sync_variant_already_exists"),
        (
            Method::POST,
            "/sync/contacts/variant/base",
            400,
            "invalid_variant",
        ),
        (
            Method::DELETE,
            "/sync/contacts/variant/Base",
            400,
            "invalid_variant",
        ),
        (Method::POST, "/sync/other/variant/big", 400, "unknown_sync"),
        (
            Method::POST,
            "/sync/contacts/variant/b.g",
            400,
            "invalid_uri_params",
        ),
        (
            Method::DELETE,
            "/sync/contacts/variant/none",
            404,
            "not_found",
        ),
    ] {
        let reply = call(method, path).await;
        assert_eq!(
            (reply.status.as_u16(), &*reply.code()),
            (status, code),
            "{path}"
        );
    }
    let nobody = json!({ "provider_config_key": "demo", "connection_id": "nobody" });
    let reply = world.app.call(Method::DELETE, path, nobody).await;
    assert_eq!(
        (reply.status.as_u16(), &*reply.code()),
        (400, "unknown_connection")
    );
    let gone = call(Method::DELETE, path).await;
    assert_eq!(gone.json(), json!({ "success": true }));
    let gone = call(Method::DELETE, path).await;
    assert_eq!(gone.status, 404, "{gone:?}");
    world.app.stop().await;
}
