//! The client that this server is there.

use super::*;

#[tokio::test]
async fn the_secret_goes_where_the_registration_says() {
    for (methods, answered, in_header, has_secret) in [
        (
            json!(["client_secret_basic"]),
            json!({ "client_secret": "s" }),
            true,
            true,
        ),
        (
            json!(["client_secret_post", "client_secret_basic"]),
            json!({ "client_secret": "s" }),
            false,
            true,
        ),
        (
            json!(["none"]),
            json!({ "client_secret": "s",
            "token_endpoint_auth_method": "client_secret_basic" }),
            true,
            true,
        ),
        (
            json!(["none"]),
            json!({ "client_secret": "s",
            "token_endpoint_auth_method": "none" }),
            false,
            false,
        ),
        (json!([]), json!({}), false, false),
    ] {
        let mut answer = json!({ "client_id": "client-2", "client_secret_expires_at": 7 });
        for (name, value) in answered.as_object().unwrap() {
            answer[name] = value.clone();
        }
        let changes = json!({ "token_endpoint_auth_methods_supported": methods });
        let world = World::usual(changes).with("https://auth.example/register", 201, answer);
        let begun = begin(&world).await.unwrap();
        let registration = begun.kept.mcp.clone().unwrap();
        assert_eq!(registration.in_header, in_header, "{methods}");
        assert_eq!(
            registration.client_secret.is_some(),
            has_secret,
            "{methods}"
        );
        assert!(registration.secret_expires_at.is_some());
        finish(&world, &begun.kept, &[("code", "c-1")])
            .await
            .unwrap();
        let seen = world.seen.lock().unwrap();
        let header = seen.last().unwrap().headers().get("authorization");
        assert_eq!(header.is_some(), in_header, "{methods}");
    }
}

#[tokio::test]
async fn imported_tokens_find_their_server_with_the_client_they_brought() {
    let world = World::usual(json!({}));
    let (template, connection) = (generic(), connection(SERVER));
    let config = config(&template, &connection);
    let tokens: Tokens = serde_json::from_value(json!({ "access_token": "a", "refresh_token": "r",
        "issued_at": "2026-01-01T00:00:00Z", "raw": {},
        "own_client": { "client_id": "theirs", "client_secret": "s" } }))
    .unwrap();
    let finished = refresh(None, &config, &tokens, &world).await.unwrap();
    let seen = world.seen.lock().unwrap();
    let header = seen.last().unwrap().headers()["authorization"].clone();
    assert_eq!(header, "Basic dGhlaXJzOnM=");
    let Credentials::OAuth2(fresh) = finished.credentials else {
        panic!("tokens");
    };
    assert_eq!(fresh.access_token.expose_secret(), "a-1");
    assert_eq!(
        fresh.mcp.unwrap().server.unwrap().issuer,
        "https://auth.example/t1"
    );
}

#[tokio::test]
async fn an_imported_public_client_names_itself() {
    let world = World::usual(json!({}));
    let (template, connection) = (generic(), connection(SERVER));
    let config = config(&template, &connection);
    let imported = json!({ "type": "OAUTH2", "access_token": "a", "refresh_token": "r",
        "config_override": { "client_id": "theirs" } });
    let imported = crate::import(&template, imported.as_object().unwrap().clone());
    let Ok(crate::Imported::Ready(imported)) = imported else {
        panic!("tokens");
    };
    let refreshed = crate::refresh(None, &config, &imported, &world).await;
    assert!(refreshed.is_ok(), "{refreshed:?}");
    assert_eq!(world.form()["client_id"], "theirs");
    assert_eq!(world.form().get("client_secret"), None);
}

fn dynamic(added: &str) -> Template {
    let yaml = "display_name: T\ncategories: [other]\nauth_mode: MCP_OAUTH2\n\
         client_registration: dynamic\nauthorization_url: https://t.com/a\n\
         token_url: https://t.com/t\nregistration_url: https://t.com/r\n\
         default_scopes: [s1]\nauthorization_params: { resource: https://t.com/mcp }\n";
    Template::parse("t", &format!("{yaml}{added}")).unwrap()
}

#[tokio::test]
async fn a_client_that_needs_a_secret_is_asked_for_after_one_that_does_not() {
    let template = dynamic("registration_params: { software_id: x }\n");
    let nothing = Map::new();
    let config = config(&template, &nothing);
    let refused = json!({ "error": "invalid_client_metadata", "error_description": "no" });
    let world = World::default().with("https://t.com/r", 400, refused);
    let error = register(&config, CALLBACK, &world).await.unwrap_err();
    assert!(
        matches!(error, Error::Refused { status: 400, .. }),
        "{error}"
    );
    let methods: Vec<Value> = world
        .seen
        .lock()
        .unwrap()
        .iter()
        .map(|request| serde_json::from_slice(request.body()).unwrap())
        .collect();
    assert_eq!(methods.len(), 2);
    assert_eq!(
        methods[0],
        json!({ "client_name": "Linkspan", "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"],
        "token_endpoint_auth_method": "none", "scope": "s1", "software_id": "x" })
    );
    assert_eq!(
        methods[1]["token_endpoint_auth_method"],
        "client_secret_post"
    );
}

#[tokio::test]
async fn a_registration_that_cannot_be_used_is_refused() {
    let template = dynamic("");
    let nothing = Map::new();
    let config = config(&template, &nothing);
    for answer in [
        json!({}),
        json!({ "client_id": "" }),
        json!({ "client_id": 7 }),
    ] {
        let world = World::default().with("https://t.com/r", 201, answer);
        let error = register(&config, CALLBACK, &world).await.unwrap_err();
        assert!(error.to_string().contains("no client_id"), "{error}");
    }
    let error = register(&config, CALLBACK, &World::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, Error::Unreadable { status: 404, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_template_says_where_and_the_registration_who() {
    let template = dynamic("");
    let nothing = Map::new();
    let config = config(&template, &nothing);
    let params = BTreeMap::new();
    let registered = Registration {
        client_secret: Some("s".into()),
        ..Registration::new("client-3", CALLBACK)
    };
    let request = |identity| Request {
        redirect_uri: CALLBACK,
        state: "s",
        authorization_params: &params,
        identity,
    };
    let none = crate::mcp::begin(
        None,
        &config,
        &request(Identity::default()),
        &World::default(),
    )
    .await;
    assert_eq!(none.unwrap_err(), Error::NoClient);
    let identity = Identity {
        registered: Some(&registered),
        ..Identity::default()
    };
    let begun = crate::mcp::begin(None, &config, &request(identity), &World::default())
        .await
        .unwrap();
    let asked = query(&begun.authorize_url);
    assert_eq!(asked["client_id"], "client-3");
    assert_eq!(
        (asked["scope"].as_str(), asked["resource"].as_str()),
        ("s1", "https://t.com/mcp")
    );
    let world = World::default().with("https://t.com/t", 200, json!({ "access_token": "a" }));
    let callback = Callback {
        query: &BTreeMap::from([("code".to_owned(), "c".to_owned())]),
        redirect_uri: CALLBACK,
        kept: &begun.kept,
    };
    crate::mcp::finish(None, &config, &callback, &world)
        .await
        .unwrap();
    let form = world.form();
    assert_eq!(
        (form["client_secret"].as_str(), form["resource"].as_str()),
        ("s", "https://t.com/mcp")
    );
}

#[tokio::test]
async fn a_refusal_is_told_without_what_the_integration_configured() {
    let template = dynamic(
        "registration_params:\n  software_statement: ${integrationConfig.statement}\n  \
         extra: { list: ['${integrationConfig.statement}-longer'], short: abc }\n\
         integration_config:\n  statement: { type: string, title: S, secret: true }\n",
    );
    let nothing = Map::new();
    let own = BTreeMap::from([("statement".to_owned(), "planted-hush".to_owned())]);
    let config = Config {
        integration: &own,
        ..config(&template, &nothing)
    };
    let refused = json!({ "error": "invalid_software_statement",
        "error_description": "abc: planted-hush-longer and planted-hush are unknown" });
    let world = World::default().with("https://t.com/r", 400, refused);
    let error = register(&config, CALLBACK, &world).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(
        text.contains("abc: [hidden] and [hidden] are unknown"),
        "{text}"
    );
    assert!(!text.contains("hush"), "{text}");
}
