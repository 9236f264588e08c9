//! `/records`.

mod list;
mod stream;

use http::Method;
use linkspan_records::StreamName;
use linkspan_testkit::{Reply, TestApp};
use serde_json::{Value, json};

/// An app with a connection, whose id and stream `Contact` these are.
struct World {
    app: TestApp,
    connection: String,
    name: StreamName,
}

impl World {
    async fn new() -> Self {
        Self::with(&[]).await
    }

    async fn with(settings: &[(&str, &str)]) -> Self {
        let app = TestApp::start_with(settings).await;
        let connection = app.connect_demo().await;
        let name = app.stream("demo", &connection, "Contact").await;
        Self {
            app,
            connection,
            name,
        }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Reply {
        let named = [
            ("Provider-Config-Key", "demo"),
            ("Connection-Id", self.connection.as_str()),
        ];
        let key = &self.app.dev.api_key;
        self.app.call_as(key, method, path, &named, body).await
    }

    /// `GET /records` of the model with more of a query.
    async fn get(&self, query: &str) -> Reply {
        let path = format!("/records?model=Contact{query}");
        self.call(Method::GET, &path, Value::Null).await
    }

    async fn ids(&self, query: &str) -> Vec<Value> {
        let reply = self.get(query).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let page = reply.json();
        let records = page["records"].as_array().unwrap();
        records.iter().map(|record| record["id"].clone()).collect()
    }

    async fn save(&self, texts: &[&str]) {
        self.app.save_records(&self.name, texts).await;
    }

    async fn delete(&self, id: &str) {
        let store = linkspan_records::Store::of(&self.app.core);
        let text = json!({ "id": id }).to_string();
        let record = serde_json::value::RawValue::from_string(text).unwrap();
        let deleted = store.batch_delete(&self.name, vec![record], Default::default());
        assert_eq!(deleted.await.unwrap().deleted.len(), 1);
    }
}
