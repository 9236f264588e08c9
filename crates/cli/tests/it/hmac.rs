//! `admin hmac`: the key that a product's backend signs with, under a server.

use http::Method;
use linkspan_shared::public_key;
use serde_json::{Value, json};

use crate::installation::{Api, Installation, Server, root_key};

struct Setup {
    installation: Installation,
    root: String,
    server: Server,
    /// The API key of `prod`.
    key: String,
}

async fn setup() -> Setup {
    let root = root_key("main");
    let (installation, [_, key]) = Installation::new(&root).await;
    let server = installation.serve(&root).await;
    let body = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    server.api.post(&key, "/integrations", body).await;
    Setup {
        installation,
        root,
        server,
        key,
    }
}

impl Setup {
    async fn admin(&self, command: &str, environment: &str) -> String {
        let arguments = ["admin", "hmac", command, environment];
        let run = self.installation.command(&arguments, &self.root).run();
        run.await.printed()
    }

    /// What `show` says of `prod`, by its label.
    async fn shown(&self, label: &str) -> Option<String> {
        let printed = self.admin("show", "prod").await;
        let mut lines = printed.lines();
        let value = lines.find_map(|line| line.strip_prefix(label))?;
        Some(value.trim().to_owned())
    }

    /// Makes a key, and checks that `show` shows it.
    async fn rotate(&self) -> String {
        let printed = self.admin("rotate", "prod").await;
        let key = printed.lines().last().unwrap().trim().to_owned();
        assert_eq!(key.len(), 64, "{printed}");
        assert_eq!(self.shown("HMAC key").await.as_deref(), Some(key.as_str()));
        key
    }
}

/// Status and code of connecting `id` with a public key.
async fn connect(api: &Api, public_key: &str, id: &str, hmac: Option<&str>) -> (u16, Value) {
    let hmac = hmac.map(|hmac| format!("&hmac={hmac}")).unwrap_or_default();
    let path = format!("/api-auth/api-key/bearer?public_key={public_key}&connection_id={id}{hmac}");
    let body = json!({ "apiKey": "k" });
    let (status, answer) = api.call("none", Method::POST, &path, &[], body).await;
    (status, answer["error"]["code"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_shown_and_replaced_under_a_server() {
    let setup = setup().await;
    let api = &setup.server.api;
    let public = setup.shown("public key").await.unwrap();
    assert_eq!(setup.shown("HMAC required").await.as_deref(), Some("yes"));
    let printed = setup.admin("show", "prod").await;
    assert!(
        printed.contains("There is no HMAC key") && printed.contains("hmac rotate prod"),
        "{printed}"
    );

    let sign = |key: &str| public_key::sign(&key.into(), "bearer", Some("user-1"));
    let first = setup.rotate().await;
    let signed = connect(api, &public, "user-1", Some(&sign(&first))).await;
    assert_eq!(signed, (200, Value::Null));
    let second = setup.rotate().await;
    assert_ne!(first, second);
    let old = connect(api, &public, "user-1", Some(&sign(&first))).await;
    assert_eq!(old, (400, json!("invalid_hmac")));
    let new = connect(api, &public, "user-1", Some(&sign(&second))).await;
    assert_eq!(new, (200, Value::Null));

    let (status, other) = api.get(&setup.key, "/connections").await;
    assert_eq!(status, 200);
    assert_eq!(other["connections"].as_array().map(Vec::len), Some(1));
    setup.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_hmac_is_waived_and_required_under_a_server() {
    let setup = setup().await;
    let api = &setup.server.api;
    let public = setup.shown("public key").await.unwrap();
    let missing = (400, json!("missing_hmac"));
    assert_eq!(connect(api, &public, "a", None).await, missing);

    let printed = setup.admin("waive", "prod").await;
    assert!(printed.contains("without an HMAC"), "{printed}");
    assert_eq!(setup.shown("HMAC required").await.as_deref(), Some("no"));
    assert_eq!(connect(api, &public, "a", None).await, (200, Value::Null));
    assert_eq!(
        connect(api, &public, "a", None).await,
        missing,
        "it replaces none"
    );

    // By its public key, as where two accounts have a `prod`.
    let printed = setup.admin("require", &public).await;
    assert!(printed.contains("There is no HMAC key"), "{printed}");
    assert_eq!(setup.shown("HMAC required").await.as_deref(), Some("yes"));
    assert_eq!(connect(api, &public, "b", None).await, missing);
    let dev = setup.admin("show", "dev").await;
    assert!(dev.contains("HMAC required  no"), "{dev}");
    setup.server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_that_there_is_none_of_is_refused() {
    let root = root_key("main");
    let (installation, _) = Installation::new(&root).await;
    for command in ["show", "rotate", "require", "waive"] {
        let arguments = ["admin", "hmac", command, "staging"];
        let error = installation
            .command(&arguments, &root)
            .run()
            .await
            .refused();
        assert!(
            error.contains("no environment 'staging'; there are: dev, prod"),
            "{error}"
        );
    }
    let empty = Installation::empty().await;
    empty.command(&["migrate"], &root).run().await.printed();
    let show = empty.command(&["admin", "hmac", "show", "dev"], &root);
    let error = show.run().await.refused();
    assert!(error.contains("linkspan admin bootstrap"), "{error}");
}
