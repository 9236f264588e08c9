//! Registrations with a provider that takes its time.

use std::collections::BTreeMap;

use diesel_async::RunQueryDsl;
use linkspan_shared::integrations::{NewIntegration, Secrets, get};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::start;

/// A place to register that answers each request when it is told to, with this
/// client's id.
async fn slow_registry() -> (String, tokio::sync::mpsc::Receiver<Pending>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/register", listener.local_addr().unwrap());
    let (tell, told) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut piece = [0; 4096];
            assert_ne!(stream.read(&mut piece).await.unwrap(), 0);
            tell.send(Pending(stream)).await.unwrap();
        }
    });
    (url, told)
}

struct Pending(tokio::net::TcpStream);

impl Pending {
    async fn answer(mut self, client: &str) {
        let body = json!({ "client_id": client }).to_string();
        let head = "HTTP/1.1 201 Created\r\nconnection: close\r\ncontent-type: application/json";
        let length = body.len();
        let answer = format!("{head}\r\ncontent-length: {length}\r\n\r\n{body}");
        self.0.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_registration_is_stored_over_no_other_client() {
    let (url, mut asked) = slow_registry().await;
    let folder = tempfile::tempdir().unwrap();
    let yaml = format!(
        "display_name: T\ncategories: [other]\nauth_mode: MCP_OAUTH2\n\
         client_registration: dynamic\nauthorization_url: https://t.example/a\n\
         token_url: https://t.example/t\nregistration_url: {url}\n"
    );
    std::fs::write(folder.path().join("slow-mcp.yaml"), yaml).unwrap();
    let app = start(&folder).await;
    let keys = app.core.vault.environment(app.dev.environment.id);
    let keys = keys.await.unwrap();
    for developers in [false, true] {
        let new = NewIntegration {
            unique_key: "slow-mcp".to_owned(),
            provider: "slow-mcp".to_owned(),
            display_name: None,
            client_id: None,
            secrets: Secrets::default(),
            scopes: None,
            config: BTreeMap::new(),
            forward_webhooks: true,
        };
        let mut conn = app.core.db.conn().await.unwrap();
        let environment = app.dev.environment.id;
        new.insert(&mut conn, &keys, environment).await.unwrap();
        let (first, second) = (app.connect_session().await, app.connect_session().await);
        let meanwhile = async {
            let late = asked.recv().await.unwrap();
            if developers {
                let own = json!({ "type": "MCP_OAUTH2", "client_id": "theirs",
                    "client_secret": "s" });
                let body = json!({ "credentials": own });
                let changed = app.call(http::Method::PATCH, "/integrations/slow-mcp", body);
                assert_eq!(changed.await.status, 200);
            } else {
                // As if the first server had stood still until its claim was over.
                let over =
                    "UPDATE integrations SET registering_until = now() - interval '1 second'";
                diesel::sql_query(over).execute(&mut conn).await.unwrap();
                let answer = async { asked.recv().await.unwrap().answer("second").await };
                let (begun, ()) = tokio::join!(app.begin("slow-mcp", &second), answer);
                let location = begun.header("location").unwrap();
                assert!(location.contains("client_id=second&"), "{location}");
            }
            late.answer("late").await;
        };
        let (begun, ()) = tokio::join!(app.begin("slow-mcp", &first), meanwhile);
        let stored = get(&mut conn, &keys, environment, "slow-mcp")
            .await
            .unwrap();
        let registered = stored.secrets.registered.map(|known| known.client_id);
        if developers {
            assert_eq!(registered, None);
            assert_eq!(stored.client_id, Some("theirs".to_owned()));
        } else {
            let location = begun.header("location").unwrap();
            assert!(location.contains("client_id=second&"), "{location}");
            assert_eq!(registered.as_deref(), Some("second"));
        }
        let path = "/integrations/slow-mcp";
        app.call(http::Method::DELETE, path, Value::Null).await;
    }
}
