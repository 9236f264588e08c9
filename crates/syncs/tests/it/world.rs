//! An app with a connection, functions and a worker.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use linkspan_records::{Query, Store};
use linkspan_shared::Core;
use linkspan_shared::connections::number;
use linkspan_shared::db::{Database, scalar};
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_shared::vault::Keyring;
use linkspan_syncs::{Definition, Name, Natives, RunContext, Scope, Status};
use linkspan_testkit::{TestApp, TestDatabase};
use linkspan_worker::kinds::{self, Retention};
use linkspan_worker::{Running, Settings};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// How long something may take to become so.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) app: TestApp,
    pub(crate) store: Store,
    pub(crate) connection: String,
    pub(crate) environment: EnvironmentId,
    /// The root key, for another process.
    pub(crate) key: SecretString,
    worker: Option<Running>,
}

/// Starts a worker with these functions.
pub(crate) fn worker(core: &Core, db: Database, functions: Natives) -> Running {
    let retention = Retention {
        finished_days: 7,
        dead_days: 7,
        prune_records_after_days: None,
        delete_records_after_days: None,
    };
    linkspan_worker::start(
        db,
        core.jobs.clone(),
        kinds::registry(core, retention, Arc::new(functions)),
        Settings {
            slots: 8,
            lease: Duration::from_secs(1),
            poll: Duration::from_millis(50),
            drain: Duration::from_millis(100),
            listen: None,
        },
    )
}

pub(crate) fn raw(value: &Value) -> Box<RawValue> {
    RawValue::from_string(value.to_string()).unwrap()
}

pub(crate) fn record(id: &str, value: u32) -> Box<RawValue> {
    raw(&json!({ "id": id, "value": value }))
}

/// Saves records of the model `Item`.
pub(crate) async fn save(
    context: &RunContext,
    ids: &[&str],
    value: u32,
) -> Result<(), linkspan_syncs::Failure> {
    let records = ids.iter().map(|id| record(id, value)).collect();
    context.batch_save("Item", records).await.map(drop)
}

pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut look: impl FnMut() -> F,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, looking).await {
        Ok(found) => found,
        Err(_) => panic!("this did not come to be: {what}"),
    }
}

impl World {
    /// An app with integration `demo` and a connection of it, and a worker with
    /// these functions.
    pub(crate) async fn new(functions: Natives) -> Self {
        let mut world = Self::idle().await;
        world.work(functions).await;
        world
    }

    /// The same without a worker.
    pub(crate) async fn idle() -> Self {
        Self::on(TestDatabase::new().await).await
    }

    /// The same on this database.
    pub(crate) async fn on(database: TestDatabase) -> Self {
        let key = Keyring::generate("test").unwrap();
        let settings = [("LINKSPAN_VAULT_ROOT_KEYS", key.expose_secret())];
        let app = TestApp::start_on(database, &settings).await;
        app.create_demo("demo").await;
        let world = Self {
            store: Store::of(&app.core),
            environment: app.dev.environment.id,
            connection: "one".to_owned(),
            worker: None,
            key,
            app,
        };
        world.connect("one").await;
        world
    }

    pub(crate) async fn work(&mut self, functions: Natives) {
        let core = &self.app.core;
        kinds::schedule(core).await.unwrap();
        let db = self.app.database.database();
        self.worker = Some(worker(core, db, functions));
    }

    pub(crate) async fn connect(&self, id: &str) {
        let body = json!({
            "provider_config_key": "demo",
            "connection_id": id,
            "credentials": { "type": "OAUTH2", "access_token": "an access token" },
        });
        let reply = self.app.post("/connections", body).await;
        assert!(reply.status.is_success(), "{reply:?}");
    }

    /// Adds a function to the integration, with model `Item`.
    pub(crate) async fn record(&self, change: impl FnOnce(&mut Definition)) {
        let mut definition = Definition::native("items", &["Item"]);
        change(&mut definition);
        let core = &self.app.core;
        linkspan_syncs::functions::record(core, self.environment, "demo", &definition)
            .await
            .unwrap();
    }

    pub(crate) fn scope<'a>(&'a self, names: &'a [Name]) -> Scope<'a> {
        Scope {
            environment: self.environment,
            integration: "demo",
            connection: Some(&self.connection),
            names,
        }
    }

    pub(crate) async fn statuses(&self) -> Vec<Status> {
        let core = &self.app.core;
        linkspan_syncs::status(core, &self.store, &self.scope(&[]))
            .await
            .unwrap()
    }

    /// The connection's only sync, as soon as it is so.
    pub(crate) async fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        eventually(what, || async {
            let mut all = self.statuses().await;
            all.pop().filter(&is_so)
        })
        .await
    }

    /// The ids and values of the model's live records, by id.
    pub(crate) async fn items(&self) -> Vec<(String, u64)> {
        self.try_items().await.unwrap()
    }

    /// The same, unless a database fails.
    pub(crate) async fn try_items(&self) -> Result<Vec<(String, u64)>, linkspan_syncs::Error> {
        let core = &self.app.core;
        let number = number::find(core, self.environment, "demo", &self.connection).await?;
        let name = linkspan_records::StreamName::base(self.environment, number, "Item");
        let query = Query {
            limit: 10_000,
            ..Query::default()
        };
        let page = self.store.list(&name, &query).await?;
        let live = page.records.iter().filter(|r| r.deleted_at().is_none());
        let mut items: Vec<_> = live
            .map(|record| {
                let value: Value = serde_json::from_str(&record.text).unwrap();
                (record.id().unwrap(), value["value"].as_u64().unwrap())
            })
            .collect();
        items.sort();
        Ok(items)
    }

    /// A number that a statement gives.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        let conn = self.app.core.db.conn().await.unwrap();
        scalar(&conn, sql).await.unwrap()
    }

    /// What a statement gives, as soon as it is this.
    pub(crate) async fn until_number(&self, sql: &str, wanted: i64) {
        eventually(&format!("{sql} = {wanted}"), || async {
            (self.number(sql).await == wanted).then_some(())
        })
        .await;
    }

    /// A connection of its own, past everything.
    pub(crate) async fn admin(&self) -> tokio_postgres::Client {
        let url = self.app.database.direct_url();
        let connected = tokio_postgres::connect(url.expose_secret(), tokio_postgres::NoTls).await;
        let (client, connection) = connected.unwrap();
        tokio::spawn(connection);
        client
    }

    pub(crate) async fn execute(&self, sql: &str) {
        self.admin().await.batch_execute(sql).await.unwrap();
    }

    pub(crate) async fn delete_connection(&self) {
        let path = format!("/connections/{}?provider_config_key=demo", self.connection);
        let reply = self.app.call(Method::DELETE, &path, Value::Null).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    pub(crate) async fn stop_worker(&mut self) {
        if let Some(worker) = self.worker.take() {
            worker.stop().await;
        }
    }

    pub(crate) async fn end(mut self) {
        self.stop_worker().await;
        drop(self.store);
        self.app.stop().await;
    }
}
