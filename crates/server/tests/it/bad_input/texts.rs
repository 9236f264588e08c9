//! Texts that Postgres, a header or a URL could not take, wherever a text can
//! stand: in bodies, in paths and in queries.

use http::Method;
use linkspan_testkit::TestApp;
use serde_json::{Value, json};

use super::table::takers;
use super::{first_path, import, refused, rows, start};

/// The pointer to each text of a value.
fn texts(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(_) => found.push(at.to_owned()),
        Value::Array(list) => {
            for (n, inner) in list.iter().enumerate() {
                texts(inner, &format!("{at}/{n}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, inner) in fields {
                texts(inner, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_in_any_text_of_a_body_is_refused_there() {
    let app = start(&[]).await;
    for taker in takers(&app).await.iter().filter(|taker| !taker.is_open) {
        let mut pointers = Vec::new();
        texts(&taker.good, "", &mut pointers);
        for pointer in &pointers {
            let before = rows(&app).await;
            let mut body = taker.good.clone();
            *body.pointer_mut(pointer).unwrap() = json!("a\u{0}b");
            let reply = taker.send(&app, body.to_string()).await;
            let what = format!("{} {pointer}", taker.name());
            refused(&reply, 400, "invalid_body", &what);
            let path = format!("/{}", first_path(&reply).join("/"));
            assert_eq!(path, *pointer, "{what}");
            assert_eq!(rows(&app).await, before, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nul_in_the_name_of_a_field_is_refused() {
    let app = start(&[]).await;
    for taker in takers(&app).await.iter().filter(|taker| !taker.is_open) {
        for spot in [
            "/tags",
            "/end_user/tags",
            "/connection_config",
            "/integrations_config_defaults/bearer/connection_config",
            "/integrations_config_defaults/bearer/authorization_params",
        ] {
            let mut body = taker.good.clone();
            let Some(object) = body.pointer_mut(spot) else {
                continue;
            };
            object["a\u{0}b"] = json!("x");
            let before = rows(&app).await;
            let reply = taker.send(&app, body.to_string()).await;
            let what = format!("{} {spot}", taker.name());
            refused(&reply, 400, "invalid_body", &what);
            assert_eq!(rows(&app).await, before, "{what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_s_own_data_may_have_any_text() {
    let app = start(&[]).await;
    let metadata = json!({ "\r\n": "\u{1F600}\u{202E}", "ü": ["\u{FFFF}"] });
    let body = json!({ "provider_config_key": "bearer", "connection_id": "c1",
        "metadata": metadata });
    let reply = app.post("/connections/metadata", body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let read = app.get("/connections/c1?provider_config_key=bearer").await;
    assert_eq!(read.json()["metadata"], metadata);

    let end_user = json!({ "id": "пользователь", "display_name": "名前 \u{1F600}" });
    let body = json!({ "end_user": end_user, "tags": { "ключ": "значение" } });
    let path = "/connections/c1?provider_config_key=bearer";
    let reply = app.call(Method::PATCH, path, body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let found = app.get("/connections?endUserId=%D0%BF%D0%BE%D0%BB%D1%8C%D0%B7%D0%BE%D0%B2%D0%B0%D1%82%D0%B5%D0%BB%D1%8C").await;
    assert_eq!(
        found.json()["connections"][0]["end_user"]["display_name"],
        "名前 \u{1F600}"
    );
    assert_eq!(found.json()["connections"][0]["tags"]["ключ"], "значение");
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_are_what_a_url_and_a_header_can_carry() {
    let app = start(&[]).await;
    let before = rows(&app).await;
    for id in [
        "ü",
        "a\nb",
        "a\r\nb",
        "a\tb",
        "a\u{7f}b",
        "a\u{85}b",
        "\u{202E}a",
        " a",
        "a ",
        "",
        &"x".repeat(256),
    ] {
        let reply = app.post("/connections", import(id)).await;
        refused(&reply, 400, "invalid_body", id);
        assert_eq!(first_path(&reply), ["connection_id"], "{id:?}");
        let body = json!({ "unique_key": id, "provider": "private-api-bearer" });
        for path in ["/integrations", "/integrations/quickstart"] {
            let reply = app.post(path, body.clone()).await;
            refused(&reply, 400, "invalid_body", id);
            assert_eq!(first_path(&reply), ["unique_key"], "{id:?}");
        }
        let reply = app.post("/environments", json!({ "name": id })).await;
        refused(&reply, 400, "invalid_body", id);
        assert_eq!(first_path(&reply), ["name"], "{id:?}");

        let key = app.dev.environment.public_key.to_string();
        let query: String = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("public_key", key.as_str()), ("connection_id", id)])
            .finish();
        let path = format!("/api-auth/api-key/bearer?{query}");
        let reply = app.post(&path, json!({ "apiKey": "k" })).await;
        refused(&reply, 400, "invalid_query_params", id);
        assert_eq!(first_path(&reply), ["connection_id"], "{id:?}");
    }
    assert_eq!(rows(&app).await, before);
}

/// Paths and queries of every kind, with a text in them.
fn addresses(text: &str, session: &str) -> Vec<(Method, String)> {
    let get = |path: &str| (Method::GET, path.replace('@', text));
    let delete = |path: &str| (Method::DELETE, path.replace('@', text));
    vec![
        get("/providers/@"),
        get("/providers?search=@"),
        get("/integrations/@"),
        delete("/integrations/@"),
        get("/config/@"),
        get("/connections/@?provider_config_key=bearer"),
        get("/connections/c1?provider_config_key=@"),
        delete("/connections/@?provider_config_key=bearer"),
        get("/connection/@?provider_config_key=bearer"),
        get("/connections?connectionId=@"),
        get("/connections?search=@"),
        get("/connections?endUserId=@"),
        get("/connections?endUserOrganizationId=@"),
        get("/connections?integrationId=@"),
        get("/connections?tags[@]=x"),
        get("/connections?tags[a]=@"),
        get("/connections?@=x"),
        delete("/environments/@"),
        get("/logs/operations?integration=@"),
        get("/logs/operations?connection=@"),
        get("/logs/operations?cursor=@"),
        get("/logs/operations?from=@"),
        get("/logs/operations/@"),
        get("/images/template-logos/@.svg"),
        get("/oauth/callback?state=@"),
        get("/oauth/callback?state=x&code=@"),
        get("/oauth/connect/bearer?connect_session_token=@"),
        get("/oauth/connect/bearer?public_key=@"),
        get("/oauth/connect/bearer?ws_client_id=@"),
        get(&format!("/oauth/connect/@?connect_session_token={session}")),
        get(&format!(
            "/oauth/connect/demo?connect_session_token={session}&params[a]=@"
        )),
        get(&format!(
            "/oauth/connect/demo?connect_session_token={session}&params[@]=a"
        )),
        get(&format!(
            "/oauth/connect/demo?connect_session_token={session}&authorization_params[a]=@"
        )),
        get("/@"),
    ]
}

async fn never_fails(app: &TestApp, text: &str) {
    let session = app.connect_session().await;
    for (method, path) in addresses(text, &session) {
        let reply = app.call(method.clone(), &path, Value::Null).await;
        let status = reply.status.as_u16();
        assert!(status < 500, "{method} {path}: {reply:?}");
        // What is found by nothing, an empty list, or what goes on to the
        // provider: nothing else is a success.
        let is_list = path.starts_with("/connections?") || path.starts_with("/logs/operations?");
        let is_off = path.starts_with("/oauth/connect/demo");
        let is_search = path.starts_with("/providers?");
        let is_fine = (status == 200 && (is_list || is_search)) || (status == 302 && is_off);
        assert!(
            is_fine || (400..500).contains(&status),
            "{method} {path}: {reply:?}"
        );
        if status == 200 && is_list {
            let json = reply.json();
            let list = json.get("connections").or(json.get("data"));
            assert_eq!(list, Some(&json!([])), "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_texts_in_an_address_name_nothing_and_break_nothing() {
    let app = start(&[]).await;
    app.create_demo("demo").await;
    let long = "x".repeat(4_000);
    for text in [
        "%00",
        "a%00b",
        "%0d%0aX-Evil:%201",
        "%ff",
        "%c3%28",
        "%ed%a0%80",
        "%2e%2e",
        "%2F",
        "%",
        "%C3%BC",
        "%F0%9F%98%80",
        "%E2%80%AE",
        "%27%20OR%201=1--",
        "%25%5F",
        "{x}",
        "$%7Bx%7D",
        "%3Cscript%3E",
        &long,
    ] {
        never_fails(&app, text).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_connects_is_said_in_plain_text_and_links_are_links() {
    let app = start(&[]).await;
    let before = rows(&app).await;
    let long = "x".repeat(256);
    for path in ["/connect/sessions", "/connect/sessions/reconnect"] {
        let mut good = json!({ "end_user": { "id": "u" } });
        if path.ends_with("reconnect") {
            good["connection_id"] = json!("c1");
            good["integration_id"] = json!("bearer");
        }
        for (pointer, wrong) in [
            ("/end_user/id", "a\nb"),
            ("/end_user/email", "a\rb"),
            ("/organization/id", ""),
            ("/organization/id", "a\r\nb"),
            ("/organization/display_name", &long),
            ("/overrides/bearer/docs_connect", "javascript:alert(1)"),
            ("/overrides/bearer/docs_connect", "/docs"),
            (
                "/overrides/bearer/docs_connect",
                "https://example.com/\r\nX-Evil: 1",
            ),
            ("/webhook_url_override", "ftp://example.com"),
            ("/webhook_url_override", "https://example.com/\n"),
        ] {
            let mut body = good.clone();
            body["organization"] = json!({ "id": "o" });
            body["overrides"] = json!({ "bearer": {} });
            let mut spot = &mut body;
            for name in pointer.split('/').skip(1) {
                spot = &mut spot[name];
            }
            *spot = json!(wrong);
            let reply = app.post(path, body).await;
            refused(
                &reply,
                400,
                "invalid_body",
                &format!("{path} {pointer} {wrong:?}"),
            );
            assert_eq!(format!("/{}", first_path(&reply).join("/")), pointer);
        }
    }
    assert_eq!(rows(&app).await, before);
}
