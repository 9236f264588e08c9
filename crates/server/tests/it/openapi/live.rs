//! What the server answers, held against both documents.

use std::collections::{BTreeMap, BTreeSet};

use http::Method;
use linkspan_testkit::{Reply, TestApp};
use secrecy::SecretString;
use serde_json::{Value, json};

use super::document::Document;
use super::{logins, synced};

/// Answers that the public document's schema refuses, and why they are as they
/// are.
const UNLIKE_THEIRS: &[(&str, &[&str])] = &[
    (
        "their server does not answer that shape either: it is that of a session being opened",
        &["GET /connect/session 200: /data /components/schemas/ConnectSession/required"],
    ),
    (
        "`docs` is where a provider describes its API, which some do nowhere",
        &["GET /providers 200: /data/ /components/schemas/Provider/anyOf"],
    ),
    (
        "one integration is made, and one is answered",
        &["POST /integrations/quickstart 200: /data /allOf/0/properties/data/type"],
    ),
];

/// Calls operations and holds each answer against the documents.
pub(super) struct Checker<'a> {
    pub(super) app: &'a TestApp,
    ours: Document,
    public: Document,
    /// How often an operation succeeded, by method and path.
    succeeded: BTreeMap<String, usize>,
    /// Where an answer is not as our document says.
    wrong: BTreeSet<String>,
    /// Where it is not as theirs says.
    unlike_theirs: BTreeSet<String>,
}

impl Checker<'_> {
    /// Calls the operation of a path whose parameters are filled in here.
    async fn call(
        &mut self,
        token: &SecretString,
        method: Method,
        template: &str,
        path: &str,
        body: Value,
    ) -> Reply {
        self.call_with(token, method, template, path, &[], body)
            .await
    }

    /// As [`Checker::call`], with headers.
    pub(super) async fn call_with(
        &mut self,
        token: &SecretString,
        method: Method,
        template: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let reply = self
            .app
            .call_as(token, method.clone(), path, headers, body.clone())
            .await;
        let name = format!("{method} {template}");
        let status = reply.status.as_u16().to_string();
        let known = [(&self.ours, true), (&self.public, false)];
        for (document, is_ours) in known {
            let operations = document.operations();
            let Some(operation) = operations.get(&name) else {
                assert!(!is_ours, "no {name} in our document");
                continue;
            };
            let answer = &operation["responses"][&status];
            if is_ours && answer.is_null() {
                self.wrong.insert(format!("{name} never answers {status}"));
            }
            // What was taken is what the document says may be sent.
            if is_ours && reply.status.is_success() && !body.is_null() {
                let schema = document.body(&operation["requestBody"]);
                let found = schema.map(|schema| document.misfits(schema, &body));
                let found = found.unwrap_or_else(|| vec!["takes no body".to_owned()]);
                let found = found.into_iter();
                self.wrong
                    .extend(found.map(|error| format!("{name} takes: {error}")));
            }
            let Some(schema) = document.body(answer) else {
                continue;
            };
            let found = document.misfits(schema, &reply.json());
            let found = found
                .into_iter()
                .map(|error| format!("{name} {status}: {error}"));
            match is_ours {
                true => self.wrong.extend(found),
                false => self.unlike_theirs.extend(found),
            }
        }
        if reply.status.is_success() {
            *self.succeeded.entry(name).or_default() += 1;
        }
        reply
    }

    pub(super) async fn ok(
        &mut self,
        method: Method,
        template: &str,
        path: &str,
        body: Value,
    ) -> Value {
        let token = self.app.dev.api_key.clone();
        let reply = self.call(&token, method, template, path, body).await;
        assert!(reply.status.is_success(), "{template}: {reply:?}");
        match reply.body.is_empty() {
            true => Value::Null,
            false => reply.json(),
        }
    }

    /// What a body makes.
    pub(super) async fn made(&mut self, template: &str, path: &str, body: Value) -> Value {
        self.ok(POST, template, path, body).await
    }

    /// What there is at a path.
    pub(super) async fn shown(&mut self, template: &str, path: &str) -> Value {
        self.ok(GET, template, path, Value::Null).await
    }

    pub(super) async fn fails(&mut self, method: Method, template: &str, path: &str, body: Value) {
        let token = self.app.dev.api_key.clone();
        let reply = self.call(&token, method, template, path, body).await;
        assert!(reply.status.is_client_error(), "{template}: {reply:?}");
    }
}

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PATCH: Method = Method::PATCH;
const DELETE: Method = Method::DELETE;

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_as_both_documents_say() {
    let (folder, sold_at) = logins::templates().await;
    let setting = ("LINKSPAN_PROVIDERS_DIR", folder.path().to_str().unwrap());
    let app = TestApp::start_with(&[setting]).await;
    let connected = app.connect_demo().await;
    let mut checker = Checker {
        app: &app,
        ours: Document::ours(),
        public: Document::public(),
        succeeded: BTreeMap::new(),
        wrong: BTreeSet::new(),
        unlike_theirs: BTreeSet::new(),
    };
    catalogue(&mut checker).await;
    integrations(&mut checker).await;
    connections(&mut checker, &connected).await;
    older_names(&mut checker).await;
    sessions(&mut checker, &sold_at).await;
    environments(&mut checker).await;
    synced::records(&mut checker).await;
    synced::syncs(&mut checker).await;
    operations(&mut checker).await;
    assert!(checker.wrong.is_empty(), "{:#?}", checker.wrong);
    let known: BTreeSet<_> = UNLIKE_THEIRS
        .iter()
        .flat_map(|(_, all)| all.iter().copied())
        .collect();
    let found: BTreeSet<_> = checker.unlike_theirs.iter().map(String::as_str).collect();
    assert_eq!(found, known);
    let reached = &checker.succeeded;
    let missing: Vec<_> = checker
        .ours
        .operations()
        .into_keys()
        .filter(|operation| !reached.contains_key(operation))
        // What these answer is a page, a redirect, events, or an API's own.
        .filter(|operation| {
            let elsewhere = [" /oauth/", " /app-auth/", " /proxy/", " /records/stream"];
            !elsewhere.iter().any(|start| operation.contains(start))
        })
        .collect();
    assert!(missing.is_empty(), "never called: {missing:#?}");
}

async fn catalogue(checker: &mut Checker<'_>) {
    checker
        .ok(GET, "/providers", "/providers", Value::Null)
        .await;
    checker
        .ok(GET, "/providers/{}", "/providers/github", Value::Null)
        .await;
    checker
        .fails(GET, "/providers/{}", "/providers/nobody", Value::Null)
        .await;
    let templates = "/providers/{}/templates";
    let path = "/providers/github/templates";
    checker.ok(GET, templates, path, Value::Null).await;
    let path = "/providers/nobody/templates";
    checker.fails(GET, templates, path, Value::Null).await;
    for path in ["/health", "/ready", "/openapi.json"] {
        checker.ok(GET, path, path, Value::Null).await;
    }
}

async fn integrations(checker: &mut Checker<'_>) {
    let client = json!({ "type": "OAUTH2", "client_id": "i", "client_secret": "s" });
    let body = json!({ "unique_key": "gh", "provider": "github", "credentials": client });
    checker
        .ok(POST, "/integrations", "/integrations", body.clone())
        .await;
    checker
        .fails(POST, "/integrations", "/integrations", body)
        .await;
    checker
        .fails(POST, "/integrations", "/integrations", json!({ "x": 1 }))
        .await;
    let body = json!({ "unique_key": "bearer", "provider": "private-api-bearer" });
    checker
        .ok(POST, "/integrations", "/integrations", body)
        .await;
    let body = json!({ "unique_key": "open", "provider": "unauthenticated" });
    let quickstart = "/integrations/quickstart";
    checker.ok(POST, quickstart, quickstart, body).await;
    checker
        .ok(GET, "/integrations", "/integrations", Value::Null)
        .await;
    for path in [
        "/integrations/gh",
        "/integrations/gh?include=webhook&include=credentials",
    ] {
        checker.ok(GET, "/integrations/{}", path, Value::Null).await;
    }
    checker
        .fails(GET, "/integrations/{}", "/integrations/none", Value::Null)
        .await;
    let path = "/config/gh?include_creds=true";
    checker.ok(GET, "/config/{}", path, Value::Null).await;
    let body = json!({ "display_name": "Code" });
    checker
        .ok(PATCH, "/integrations/{}", "/integrations/gh", body)
        .await;
    checker
        .ok(DELETE, "/integrations/{}", "/integrations/gh", Value::Null)
        .await;
}

fn bearer(id: &str) -> Value {
    json!({
        "provider_config_key": "bearer",
        "connection_id": id,
        "connection_config": { "baseUrl": "http://127.0.0.1:1" },
        "credentials": { "type": "API_KEY", "apiKey": "secret" },
        "end_user": { "id": "u", "email": "u@example.com" },
        "tags": { "team": "blue" },
    })
}

async fn connections(checker: &mut Checker<'_>, connected: &str) {
    checker
        .ok(POST, "/connections", "/connections", bearer("a"))
        .await;
    checker
        .fails(POST, "/connections", "/connections", json!({}))
        .await;
    for path in [
        "/connections",
        "/connections?tags[team]=blue&limit=1&page=0",
    ] {
        checker.ok(GET, "/connections", path, Value::Null).await;
    }
    let one = "/connections/{}";
    let path = format!("/connections/{connected}?provider_config_key=demo&force_refresh=true");
    checker.ok(GET, one, &path, Value::Null).await;
    let path = "/connections/a?provider_config_key=bearer";
    checker.ok(GET, one, path, Value::Null).await;
    checker.fails(GET, one, "/connections/a", Value::Null).await;
    checker
        .fails(
            GET,
            one,
            "/connections/b?provider_config_key=bearer",
            Value::Null,
        )
        .await;
    checker
        .ok(PATCH, one, path, json!({ "end_user": null, "tags": {} }))
        .await;
    let body = json!({ "connection_id": ["a"], "provider_config_key": "bearer",
                       "metadata": { "x": 1 } });
    for method in [POST, PATCH] {
        let path = "/connections/metadata";
        checker.ok(method, path, path, body.clone()).await;
    }
    checker.ok(DELETE, one, path, Value::Null).await;
}

async fn older_names(checker: &mut Checker<'_>) {
    checker
        .ok(POST, "/connection", "/connection", bearer("a"))
        .await;
    checker
        .ok(GET, "/connection", "/connection", Value::Null)
        .await;
    let path = "/connection/a?provider_config_key=bearer";
    checker.ok(GET, "/connection/{}", path, Value::Null).await;
    let body = json!({ "connection_id": "a", "provider_config_key": "bearer", "metadata": {} });
    for method in [POST, PATCH] {
        let path = "/connection/metadata";
        checker.ok(method.clone(), path, path, body.clone()).await;
        let path = "/connection/a/metadata";
        let header = [("Provider-Config-Key", "bearer")];
        let token = &checker.app.dev.api_key;
        let reply = checker
            .app
            .call_as(token, method.clone(), path, &header, json!({}))
            .await;
        assert!(reply.status.is_success(), "{reply:?}");
        let name = format!("{method} /connection/{{}}/metadata");
        *checker.succeeded.entry(name).or_default() += 1;
    }
    checker
        .ok(DELETE, "/connection/{}", path, Value::Null)
        .await;
}

async fn sessions(checker: &mut Checker<'_>, sold_at: &str) {
    let path = "/connect/sessions";
    let body = json!({ "end_user": { "id": "u" }, "tags": { "a": "b" } });
    let opened = checker.ok(POST, path, path, body).await;
    checker
        .fails(POST, path, path, json!({ "end_user": 1 }))
        .await;
    let token = opened["data"]["token"].as_str().unwrap().to_owned();
    let query = format!("?connect_session_token={token}");
    for (route, body, config) in [
        (
            "/api-auth/api-key",
            json!({ "apiKey": "secret" }),
            "&params[baseUrl]=http://127.0.0.1:1",
        ),
        ("/auth/unauthenticated", Value::Null, ""),
    ] {
        let key = if config.is_empty() { "open" } else { "bearer" };
        let path = format!("{route}/{key}{query}{config}");
        checker
            .ok(POST, &format!("{route}/{{}}"), &path, body)
            .await;
    }
    basic(checker, &query).await;
    logins::all(checker, sold_at).await;
    let token = SecretString::from(token);
    let path = "/connect/session";
    for method in [GET, DELETE, GET] {
        checker.call(&token, method, path, path, Value::Null).await;
    }
    let body = bearer("again");
    checker.ok(POST, "/connections", "/connections", body).await;
    let path = "/connect/sessions/reconnect";
    let body = json!({ "connection_id": "again", "integration_id": "bearer" });
    checker.ok(POST, path, path, body).await;
    checker
        .fails(
            POST,
            path,
            path,
            json!({ "connection_id": "no", "integration_id": "bearer" }),
        )
        .await;
}

async fn basic(checker: &mut Checker<'_>, query: &str) {
    let body = json!({ "unique_key": "basic", "provider": "private-api-basic" });
    checker
        .ok(POST, "/integrations", "/integrations", body)
        .await;
    let path = format!("/api-auth/basic/basic{query}&params[baseUrl]=http://127.0.0.1:1");
    let body = json!({ "username": "u", "password": "p" });
    checker.ok(POST, "/api-auth/basic/{}", &path, body).await;
}

async fn environments(checker: &mut Checker<'_>) {
    let body = json!({ "name": "staging" });
    let made = checker
        .ok(POST, "/environments", "/environments", body.clone())
        .await;
    checker
        .fails(POST, "/environments", "/environments", body)
        .await;
    let number = &made["data"]["id"];
    let path = "/environment/api-keys";
    let body = json!({ "environment_id": number, "display_name": "k" });
    let key = checker.ok(POST, path, path, body.clone()).await;
    checker.fails(POST, path, path, body).await;
    let body = json!({ "environment_id": number, "key_id": key["data"]["id"] });
    checker.ok(DELETE, path, path, body.clone()).await;
    checker.fails(DELETE, path, path, body).await;
    let path = "/environment/webhook-signing-key/rotate";
    checker.ok(POST, path, path, Value::Null).await;
    let path = "/environment-variables";
    checker.ok(GET, path, path, Value::Null).await;
    let path = format!("/environments/{number}");
    checker
        .ok(DELETE, "/environments/{}", &path, Value::Null)
        .await;
    checker
        .fails(DELETE, "/environments/{}", &path, Value::Null)
        .await;
}

async fn operations(checker: &mut Checker<'_>) {
    let path = "/logs/operations";
    let id = loop {
        let list = checker.ok(GET, path, path, Value::Null).await;
        if let Some(id) = list["data"][0]["id"].as_str() {
            break id.to_owned();
        }
    };
    let path = format!("/logs/operations/{id}");
    checker
        .ok(GET, "/logs/operations/{}", &path, Value::Null)
        .await;
    let path = "/logs/operations/none";
    checker
        .fails(GET, "/logs/operations/{}", path, Value::Null)
        .await;
    let path = "/logs/counted";
    checker.ok(GET, path, path, Value::Null).await;
    checker
        .fails(GET, path, "/logs/counted?from=once", Value::Null)
        .await;
}
