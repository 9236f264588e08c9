//! The table of all routes with who may call them: `docs/routes.md` is made of
//! it, and `access.rs` walks it.

use std::path::{Path, PathBuf};

use http::Method;
use linkspan_api::Scope;

/// A route.
#[derive(Debug)]
pub(crate) struct Route {
    method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) opens: Opens,
}

/// What opens a route.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Opens {
    /// An API key with any of these scopes; any key when there are none.
    Key(&'static [Scope]),
    /// The same, or a connect session.
    KeyOrSession(&'static [Scope]),
    /// A connect session in the `Authorization` header.
    Session,
    /// A connect session or a public key in the query, as a browser's navigation has it.
    Browser,
    /// Nothing.
    Anybody,
}

impl Route {
    pub(crate) fn method(&self) -> Method {
        self.method.parse().unwrap()
    }
}

macro_rules! routes {
    ($($method:ident $path:literal $opens:ident $(($($scope:ident)|*))?;)*) => {
        /// Every route there is.
        pub(crate) const ROUTES: &[Route] = &[$(Route {
            method: stringify!($method),
            path: $path,
            opens: Opens::$opens $((&[$(Scope::$scope),*]))?,
        }),*];
    };
}

routes! {
    GET "/providers" KeyOrSession();
    GET "/providers/{provider}" KeyOrSession();
    GET "/providers/{provider}/templates" KeyOrSession();
    GET "/integrations" KeyOrSession(IntegrationsList | IntegrationsListCredentials);
    POST "/integrations" Key(IntegrationsCreate);
    POST "/integrations/quickstart" Key(IntegrationsCreate);
    GET "/integrations/{unique_key}" Key(IntegrationsRead | IntegrationsReadCredentials);
    PATCH "/integrations/{unique_key}" Key(IntegrationsUpdate);
    DELETE "/integrations/{unique_key}" Key(IntegrationsDelete);
    GET "/config/{unique_key}" Key(IntegrationsRead | IntegrationsReadCredentials);
    GET "/connections" Key(ConnectionsList | ConnectionsListCredentials);
    POST "/connections" Key(ConnectionsCreate);
    POST "/connections/metadata" Key(ConnectionsUpdate);
    PATCH "/connections/metadata" Key(ConnectionsUpdate);
    GET "/connections/{connection_id}" Key(ConnectionsRead | ConnectionsReadCredentials);
    PATCH "/connections/{connection_id}" Key(ConnectionsUpdate);
    DELETE "/connections/{connection_id}" Key(ConnectionsDelete);
    GET "/connection" Key(ConnectionsList | ConnectionsListCredentials);
    POST "/connection" Key(ConnectionsCreate);
    POST "/connection/metadata" Key(ConnectionsUpdate);
    PATCH "/connection/metadata" Key(ConnectionsUpdate);
    GET "/connection/{connection_id}" Key(ConnectionsRead | ConnectionsReadCredentials);
    DELETE "/connection/{connection_id}" Key(ConnectionsDelete);
    POST "/connection/{connection_id}/metadata" Key(ConnectionsUpdate);
    PATCH "/connection/{connection_id}/metadata" Key(ConnectionsUpdate);
    POST "/connect/sessions" Key(ConnectSessionsWrite);
    POST "/connect/sessions/reconnect" Key(ConnectSessionsWrite);
    GET "/connect/session" Session;
    DELETE "/connect/session" Session;
    POST "/connect/telemetry" Anybody;
    GET "/connect" Anybody;
    GET "/connect/page.js" Anybody;
    GET "/oauth/connect/{unique_key}" Browser;
    GET "/oauth/callback" Anybody;
    GET "/oauth/callback.js" Anybody;
    GET "/app-auth/connect" Anybody;
    GET "/oauth/client-metadata/{environment}/{unique_key}" Anybody;
    POST "/api-auth/api-key/{unique_key}" Browser;
    POST "/api-auth/basic/{unique_key}" Browser;
    POST "/oauth2/auth/{unique_key}" Browser;
    POST "/auth/two-step/{unique_key}" Browser;
    POST "/auth/jwt/{unique_key}" Browser;
    POST "/auth/tba/{unique_key}" Browser;
    POST "/auth/bill/{unique_key}" Browser;
    POST "/auth/signature/{unique_key}" Browser;
    POST "/auth/aws-sigv4/{unique_key}" Browser;
    POST "/auth/oauth-outbound/{unique_key}" Browser;
    POST "/auth/unauthenticated/{unique_key}" Browser;
    POST "/environments" Key(AccountEnvironmentsCreate);
    DELETE "/environments/{number}" Key(AccountEnvironmentsDelete);
    POST "/environment/api-keys" Key(AccountApiKeysCreate);
    DELETE "/environment/api-keys" Key(AccountApiKeysDelete);
    POST "/environment/webhook-signing-key/rotate" Key(WebhookSigningKeyRotate);
    GET "/environment-variables" Key(VariablesRead);
    GET "/records" Key(RecordsRead);
    GET "/records/" Key(RecordsRead);
    GET "/records/stream" Key(RecordsRead);
    PATCH "/records/prune" Key(RecordsWrite);
    POST "/sync/trigger" Key(SyncsExecute);
    POST "/sync/start" Key(SyncsExecute);
    POST "/sync/pause" Key(SyncsExecute);
    GET "/sync/status" Key(SyncsRead);
    PUT "/sync/update-connection-frequency" Key(SyncsUpdate);
    POST "/sync/{name}/variant/{variant}" Key(SyncVariantsCreate);
    DELETE "/sync/{name}/variant/{variant}" Key(SyncVariantsDelete);
    GET "/logs/operations" Key(LogsRead);
    GET "/logs/operations/{id}" Key(LogsRead);
    GET "/logs/counted" Key(LogsRead);
    GET "/proxy/{path}" Key(Proxy);
    POST "/proxy/{path}" Key(Proxy);
    PUT "/proxy/{path}" Key(Proxy);
    PATCH "/proxy/{path}" Key(Proxy);
    DELETE "/proxy/{path}" Key(Proxy);
    POST "/cli/telemetry" Anybody;
    GET "/images/template-logos/{provider}.svg" Anybody;
    GET "/health" Anybody;
    GET "/ready" Anybody;
    GET "/openapi.json" Anybody;
    GET "/" Anybody;
}

fn page() -> String {
    let mut page = String::from(
        "# Routes\n\n\
         Every route and what opens it. Scopes are those of an API key; where there are two,\n\
         either will do. `crates/server/tests/it/routes.rs` has this table, and its tests call\n\
         each route with every kind of key and session.\n\n\
         | Method | Path | Opens to |\n|---|---|---|\n",
    );
    for Route {
        method,
        path,
        opens,
    } in ROUTES
    {
        let key = |scopes: &[Scope]| match scopes {
            [] => "any API key".to_owned(),
            scopes => {
                let names: Vec<_> = scopes
                    .iter()
                    .map(|scope| format!("`{}`", scope.as_str()))
                    .collect();
                names.join(" or ")
            }
        };
        let opens = match opens {
            Opens::Key(scopes) => key(scopes),
            Opens::KeyOrSession(scopes) => format!("{}, or a connect session", key(scopes)),
            Opens::Session => "a connect session".to_owned(),
            Opens::Browser => "a connect session or a public key, in the query".to_owned(),
            Opens::Anybody => "anybody".to_owned(),
        };
        page += &format!("| {method} | `{path}` | {opens} |\n");
    }
    page
}

/// Every file below a directory.
fn files(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push(path),
        }
    }
}

/// The routes that the document describes, and those that the source registers
/// beside it, by `meter::serve(…, Method::METHOD, "path", …`.
fn registered() -> Vec<String> {
    let document = serde_json::to_value(linkspan_server::openapi::document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            found.push(format!("{} {path}", method.to_uppercase()));
        }
    }
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/src/routes");
    let mut sources = Vec::new();
    files(Path::new(dir), &mut sources);
    for file in sources {
        let text = std::fs::read_to_string(file).unwrap();
        let text: String = text.split_whitespace().collect();
        for call in text.split("meter::serve(").skip(1) {
            let (_, rest) = call.split_once("Method::").unwrap();
            let (method, rest) = rest.split_once(",\"").unwrap();
            let (path, _) = rest.split_once('"').unwrap();
            found.push(format!("{method} {path}"));
        }
    }
    found.sort();
    found
}

#[test]
fn the_table_has_every_route() {
    let mut listed: Vec<_> = ROUTES
        .iter()
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    listed.sort();
    assert_eq!(registered(), listed);
}

#[test]
fn the_manual_has_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/routes.md");
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == page(), "docs/routes.md is to be:\n{}", page());
}
