//! MCP_OAUTH2 and MCP_OAUTH2_GENERIC.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Request;
use linkspan_shared::integrations::{NewIntegration, Secrets};
use linkspan_simulator::strict::mcp::{SERVER, Settings, start as start_provider};
use linkspan_simulator::strict::{Answer, Misbehaviour, Strict};
use linkspan_testkit::{Reply, TestApp, relocate};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::expired::expect_one_refresh;
use super::{IMPATIENT, call, count, delete, full, refreshed, start, start_at};

/// Where a call arrives, and where tokens come from.
const NOTION: (&str, &str) = ("/mcp.notion.com/x", "/mcp.notion.com/token");
const PUBLIC_URL: (&str, &str) = ("LINKSPAN_SERVER_PUBLIC_URL", "http://localhost:3003");

async fn provider(settings: Settings) -> Strict {
    start_provider(settings).await.unwrap()
}

async fn integrate(app: &TestApp, slug: &str, credentials: Value) -> Reply {
    let mut body = json!({ "unique_key": slug, "provider": slug });
    if !credentials.is_null() {
        body["credentials"] = credentials;
    }
    app.post("/integrations", body).await
}

fn known() -> Value {
    let (id, secret) = Settings::default().known;
    json!({ "type": "MCP_OAUTH2", "client_id": id, "client_secret": secret })
}

/// Goes to the provider, which lets everybody in, and comes back.
async fn authorise(app: &TestApp, slug: &str, more: &str) -> Reply {
    let token = app.connect_session().await;
    let begun = app.begin(slug, &format!("{token}{more}")).await;
    if begun.status != 302 {
        return begun;
    }
    let request = Request::get(begun.header("location").unwrap());
    let there = app.send(request.body(bytes::Bytes::new()).unwrap()).await;
    assert_eq!(there.status, 302, "{there:?}");
    let back = there.header("location").unwrap().to_owned();
    app.come_back(&back, begun.header("set-cookie")).await
}

async fn only_connection(app: &TestApp) -> String {
    let list = app.get("/connections").await.json();
    let connections = list["connections"].as_array().unwrap();
    assert_eq!(connections.len(), 1, "{list}");
    connections[0]["connection_id"].as_str().unwrap().to_owned()
}

fn text(page: &Reply) -> String {
    String::from_utf8(page.body.to_vec()).unwrap()
}

/// The bearer token of the last request to a path that begins so.
fn bearer(provider: &Strict, prefix: &str) -> String {
    let seen = provider.requests_to(prefix);
    seen.last()
        .unwrap()
        .header("authorization")
        .unwrap()
        .to_owned()
}

/// From the click to the end; `hosts` are those of the API and of its tokens.
async fn whole_life(
    app: &TestApp,
    provider: &Strict,
    slug: &str,
    (api, tokens): (&str, &str),
    more: &str,
) {
    let page = authorise(app, slug, more).await;
    assert_eq!(
        page.status,
        200,
        "{slug}: {} {:?}",
        text(&page),
        provider.refusals()
    );
    let connection = only_connection(app).await;
    let made = full(app, slug, &connection).await;
    assert_eq!(made["credentials"]["type"], "OAUTH2", "{slug}");
    assert_eq!(
        call(app, slug, &connection, "/x", None).await.status,
        200,
        "{slug}"
    );
    let first = bearer(provider, api);
    assert_eq!(
        first,
        format!(
            "Bearer {}",
            made["credentials"]["access_token"].as_str().unwrap()
        )
    );
    let fresh = refreshed(app, slug, &connection).await;
    assert_eq!(
        fresh.status,
        200,
        "{slug}: {fresh:?} {:?}",
        provider.refusals()
    );
    assert_eq!(
        call(app, slug, &connection, "/x", None).await.status,
        200,
        "{slug}"
    );
    assert_ne!(bearer(provider, api), first, "{slug}");
    let of = (slug, &*connection, "/x");
    expect_one_refresh(app, provider, of, (tokens, 1)).await;
    delete(app, slug, &connection).await;
    assert_eq!(provider.refusals(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_registered_with_known_or_told_by_a_document() {
    let provider = provider(Settings::default()).await;
    let slugs = ["sanity-mcp", "notion-mcp", "asana-mcp", "lovable-mcp"];
    let (_folder, app) = start_at(&provider, &slugs, &[PUBLIC_URL]).await;
    for (slug, credentials, api, tokens) in [
        (
            "sanity-mcp",
            Value::Null,
            "/mcp.sanity.io/x",
            "/mcp.sanity.io/token",
        ),
        ("notion-mcp", Value::Null, NOTION.0, NOTION.1),
        (
            "asana-mcp",
            known(),
            "/mcp.asana.com/x",
            "/app.asana.com/-/oauth_token",
        ),
        (
            "lovable-mcp",
            Value::Null,
            "/mcp.lovable.dev/x",
            "/lovable.dev/oauth/token",
        ),
    ] {
        let made = integrate(&app, slug, credentials).await;
        assert_eq!(made.status, 200, "{slug}: {made:?}");
        whole_life(&app, &provider, slug, (api, tokens), "").await;
    }
    let registered = provider.requests().into_iter();
    let registered = registered.filter(|request| request.path.ends_with("/register"));
    let hosts: Vec<_> = registered.map(|request| request.path).collect();
    assert_eq!(
        hosts,
        ["/mcp.sanity.io/register", "/mcp.notion.com/register"]
    );
    let accepted = provider.requests_to("/mcp.sanity.io/x");
    assert_eq!(
        accepted[0].header("accept"),
        Some("application/json,text/event-stream")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_secret_goes_where_the_provider_said() {
    let provider = provider(Settings {
        gives_secrets: true,
        ..Settings::default()
    })
    .await;
    let (_folder, app) = start_at(&provider, &["notion-mcp"], &[PUBLIC_URL]).await;
    assert_eq!(integrate(&app, "notion-mcp", Value::Null).await.status, 200);
    whole_life(&app, &provider, "notion-mcp", NOTION, "").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_begin_at_once_one_registers() {
    let provider = provider(Settings::default()).await;
    let (_folder, app) = start_at(&provider, &["notion-mcp"], &[PUBLIC_URL]).await;
    // As if the server that made it had died before it registered.
    let environment = app.dev.environment.id;
    let keys = app.core.vault.environment(environment).await.unwrap();
    let new = NewIntegration {
        unique_key: "notion-mcp".to_owned(),
        provider: "notion-mcp".to_owned(),
        display_name: None,
        client_id: None,
        secrets: Secrets::default(),
        scopes: None,
        config: BTreeMap::new(),
        forward_webhooks: true,
    };
    let mut conn = app.core.db.conn().await.unwrap();
    new.insert(&mut conn, &keys, environment).await.unwrap();
    drop(conn);
    let other = app.another_server().await;
    let begins = (0..6).map(|n| {
        let (app, other) = (&app, &other);
        async move {
            let token = app.connect_session().await;
            let server = if n % 2 == 0 {
                app.url("")
            } else {
                other.base_url.clone()
            };
            app.begin_at(&server, "notion-mcp", &token).await
        }
    });
    for begun in futures_util::future::join_all(begins).await {
        assert_eq!(begun.status, 302, "{begun:?}");
    }
    let registrations = provider.requests_to("/mcp.notion.com/register");
    assert_eq!(registrations.len(), 1);
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_that_fails_leaves_no_integration() {
    let provider = provider(Settings::default()).await;
    let (_folder, app) = start_at(&provider, &["notion-mcp"], &[PUBLIC_URL]).await;
    for (misbehaviour, code) in [
        (Misbehaviour::Refuse, "invalid_credentials"),
        (Misbehaviour::Garbage, "invalid_credentials"),
        (
            Misbehaviour::Answer(Answer::json(&json!({}))),
            "invalid_credentials",
        ),
    ] {
        provider.misbehave("/", misbehaviour);
        let refused = integrate(&app, "notion-mcp", Value::Null).await;
        assert_eq!(refused.code(), code);
        provider.behave();
        assert_eq!(app.get("/integrations").await.json()["data"], json!([]));
    }
    assert_eq!(integrate(&app, "notion-mcp", Value::Null).await.status, 200);
    // A developer's own client needs none.
    let before = provider.requests().len();
    let path = "/integrations/notion-mcp";
    app.call(http::Method::DELETE, path, Value::Null).await;
    assert_eq!(integrate(&app, "notion-mcp", known()).await.status, 200);
    assert_eq!(provider.requests().len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_answers_leave_no_connection() {
    let provider = provider(Settings::default()).await;
    let settings = [PUBLIC_URL, IMPATIENT];
    let (_folder, app) = start_at(&provider, &["asana-mcp"], &settings).await;
    assert_eq!(integrate(&app, "asana-mcp", known()).await.status, 200);
    let token = "/app.asana.com/-/oauth_token";
    for misbehaviour in [
        Misbehaviour::Refuse,
        Misbehaviour::Garbage,
        Misbehaviour::Answer(Answer::new(200, "application/json", "")),
        Misbehaviour::Answer(Answer::json(&json!({ "token_type": "Bearer" }))),
    ] {
        provider.misbehave(token, misbehaviour);
        let page = authorise(&app, "asana-mcp", "").await;
        assert_eq!(page.status, 400);
        assert!(text(&page).contains("token_err"), "{}", text(&page));
        provider.behave();
    }
    provider.misbehave(token, Misbehaviour::Hang);
    let page = authorise(&app, "asana-mcp", "").await;
    let told = text(&page);
    assert!(
        told.contains("token_err") && told.contains("did not answer in time"),
        "{told}"
    );
    assert_eq!(count(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_is_refreshed_before_the_call() {
    let provider = provider(Settings {
        life: Duration::from_secs(1),
        ..Settings::default()
    })
    .await;
    let (_folder, app) = start_at(&provider, &["asana-mcp"], &[PUBLIC_URL]).await;
    assert_eq!(integrate(&app, "asana-mcp", known()).await.status, 200);
    let page = authorise(&app, "asana-mcp", "").await;
    assert_eq!(page.status, 200, "{}", text(&page));
    let connection = only_connection(&app).await;
    let api = "/mcp.asana.com/x";
    assert_eq!(
        call(&app, "asana-mcp", &connection, "/x", None)
            .await
            .status,
        200
    );
    let first = bearer(&provider, api);
    while bearer(&provider, api) == first {
        assert_eq!(
            call(&app, "asana-mcp", &connection, "/x", None)
                .await
                .status,
            200
        );
    }
    provider.misbehave("/app.asana.com/-/oauth_token", Misbehaviour::Refuse);
    let refused = refreshed(&app, "asana-mcp", &connection).await;
    assert_eq!(refused.code(), "invalid_credentials");
}

/// An app with the generic template for a server on this machine.
async fn generic(provider: &Strict) -> (TempDir, TestApp, String) {
    let folder = tempfile::tempdir().unwrap();
    // On this machine there is no TLS.
    let yaml = relocate("cloudflare-mcp", &provider.url()).replace("^https://", "^https?://");
    std::fs::write(folder.path().join("cloudflare-mcp.yaml"), yaml).unwrap();
    let app = start(&folder).await;
    assert_eq!(
        integrate(&app, "cloudflare-mcp", Value::Null).await.status,
        200
    );
    let server = format!("{}{SERVER}", provider.url());
    let more = url::form_urlencoded::byte_serialize(server.as_bytes()).collect::<String>();
    (folder, app, format!("&params[mcp_server_url]={more}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_server_is_found_by_document_registration_or_name() {
    for (takes_documents, takes_registrations) in [(true, true), (false, true)] {
        let provider = provider(Settings {
            takes_documents,
            takes_registrations,
            ..Settings::default()
        })
        .await;
        let (_folder, app, more) = generic(&provider).await;
        whole_life(
            &app,
            &provider,
            "cloudflare-mcp",
            ("/generic.test/mcp/x", "/auth.test/token"),
            &more,
        )
        .await;
        let asked = provider.requests_to("/auth.test/authorize");
        let client = asked[0].query.iter().find(|(name, _)| name == "client_id");
        let client = &client.unwrap().1;
        assert_eq!(
            client.contains("/oauth/client-metadata/"),
            takes_documents,
            "{client}"
        );
        if takes_documents {
            let path = url::Url::parse(client).unwrap().path().to_owned();
            let request = Request::get(app.url(&path)).body(bytes::Bytes::new());
            let document = app.send(request.unwrap()).await;
            assert_eq!(document.status, 200, "{document:?}");
            assert_eq!(document.json()["client_id"], *client);
            assert_eq!(document.json()["token_endpoint_auth_method"], "none");
        }
    }
    let provider = provider(Settings {
        takes_documents: false,
        takes_registrations: false,
        known: ("linkspan".to_owned(), "unused".to_owned()),
        ..Settings::default()
    })
    .await;
    let (_folder, app, more) = generic(&provider).await;
    let begun = app
        .begin(
            "cloudflare-mcp",
            &format!("{}{more}", app.connect_session().await),
        )
        .await;
    assert!(
        begun
            .header("location")
            .unwrap()
            .contains("client_id=linkspan&"),
        "{begun:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_used_is_told_and_leaves_nothing() {
    let provider = provider(Settings::default()).await;
    let (_folder, app, more) = generic(&provider).await;
    let other = json!({ "resource": "https://bank.example/mcp",
        "authorization_servers": [format!("{}/auth.test", provider.url())] });
    for (path, misbehaviour, reason) in [
        (
            "/described.test",
            Misbehaviour::Answer(Answer::json(&other)),
            "another server",
        ),
        (
            "/.well-known",
            Misbehaviour::Garbage,
            "publishes no metadata",
        ),
    ] {
        provider.misbehave(path, misbehaviour);
        let page = authorise(&app, "cloudflare-mcp", &more).await;
        assert_eq!(page.status, 400, "{path}");
        assert!(text(&page).contains(reason), "{path}: {}", text(&page));
        assert_eq!(count(&app).await, 0);
        provider.behave();
    }
    let refused = app
        .begin(
            "cloudflare-mcp",
            &format!(
                "{}&params[mcp_server_url]=ftp://x",
                app.connect_session().await
            ),
        )
        .await;
    assert_eq!(refused.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_integrations_that_need_one_have_a_document() {
    let provider = provider(Settings::default()).await;
    let (_folder, app) = start_at(&provider, &["lovable-mcp", "asana-mcp"], &[PUBLIC_URL]).await;
    for (slug, credentials) in [("lovable-mcp", Value::Null), ("asana-mcp", known())] {
        assert_eq!(integrate(&app, slug, credentials).await.status, 200);
    }
    let environment = app.dev.environment.id.0;
    let nobody = uuid::Uuid::new_v4();
    for (environment, slug, status) in [
        (environment.to_string(), "lovable-mcp", 200),
        (environment.to_string(), "asana-mcp", 404),
        (environment.to_string(), "none", 404),
        (nobody.to_string(), "lovable-mcp", 404),
        ("x".to_owned(), "lovable-mcp", 404),
    ] {
        let url = app.url(&format!("/oauth/client-metadata/{environment}/{slug}"));
        let reply = app
            .send(Request::get(url).body(bytes::Bytes::new()).unwrap())
            .await;
        assert_eq!(reply.status, status, "{environment} {slug}");
    }
}
