//! Which servers are found, and which of their words are believed.

use super::*;

#[tokio::test]
async fn the_challenge_is_believed_before_what_is_well_known() {
    let place = "https://elsewhere.example/described";
    let resource = json!({ "resource": "https://mcp.example/tools",
        "authorization_servers": ["https://auth.example/t1"], "scopes_supported": ["no"] });
    let world = World::usual(json!({ "scopes_supported": ["offline_access"] }))
        .with(place, 200, resource)
        .challenging(&format!(
            "Bearer resource_metadata=\"{place}\", scope=\"need\""
        ));
    let begun = begin(&world).await.unwrap();
    assert_eq!(world.asked()[..3], [SERVER, place, ISSUER_DOCUMENT]);
    let params = query(&begun.authorize_url);
    assert_eq!(params["resource"], "https://mcp.example/tools");
    assert_eq!(params["scope"], "need offline_access");
}

#[tokio::test]
async fn the_places_are_tried_in_order() {
    let root = "https://mcp.example/.well-known/oauth-protected-resource";
    let resource = json!({ "resource": "https://mcp.example",
        "authorization_servers": ["https://auth.example/t1/"] });
    let mut world = World::usual(json!({})).with(root, 200, resource);
    world.answers.remove(RESOURCE_DOCUMENT);
    let issuer = world.answers.remove(ISSUER_DOCUMENT).unwrap();
    let openid = "https://auth.example/t1/.well-known/openid-configuration";
    world.answers.insert(openid.to_owned(), issuer);
    begin(&world).await.unwrap();
    let between = "https://auth.example/.well-known/openid-configuration/t1";
    let expected = [
        SERVER,
        RESOURCE_DOCUMENT,
        root,
        ISSUER_DOCUMENT,
        between,
        openid,
    ];
    assert_eq!(world.asked()[..6], expected);
}

#[tokio::test]
async fn a_server_without_a_description_is_its_own_authorization_server() {
    let metadata = json!({ "issuer": "https://mcp.example",
        "authorization_endpoint": "https://mcp.example/authorize",
        "token_endpoint": "https://mcp.example/token",
        "code_challenge_methods_supported": ["S256"] });
    let place = "https://mcp.example/.well-known/oauth-authorization-server";
    let world = World::default().with(place, 200, metadata);
    let begun = begin(&world).await.unwrap();
    let params = query(&begun.authorize_url);
    assert_eq!(params["client_id"], "linkspan", "it takes no registrations");
    assert_eq!(params["resource"], SERVER);
}

#[tokio::test]
async fn a_document_is_preferred_where_it_can_be_read() {
    let takes = json!({ "client_id_metadata_document_supported": true });
    for (document, expected) in [
        (Some(DOCUMENT), DOCUMENT),
        // Nobody else reaches this machine.
        (
            Some("http://localhost:3003/oauth/client-metadata/e/mcp"),
            "client-1",
        ),
        (None, "client-1"),
    ] {
        let identity = Identity {
            document,
            ..Identity::default()
        };
        let world = World::usual(takes.clone());
        let begun = begin_with(&world, identity, &[]).await.unwrap();
        assert_eq!(query(&begun.authorize_url)["client_id"], expected);
    }
}

#[tokio::test]
async fn a_stranger_is_not_believed_everything() {
    let described = |changes: Value| {
        let mut resource = json!({ "resource": SERVER,
            "authorization_servers": ["https://auth.example/t1"] });
        for (name, value) in changes.as_object().unwrap() {
            resource[name] = value.clone();
        }
        World::usual(json!({})).with(RESOURCE_DOCUMENT, 200, resource)
    };
    for (world, expected) in [
        (
            described(json!({ "resource": "https://bank.example/tools/mcp" })),
            "another server",
        ),
        (
            described(json!({ "resource": "https://mcp.example/to" })),
            "another server",
        ),
        (
            described(json!({ "authorization_servers": [] })),
            "names no authorization server",
        ),
        (
            described(json!({ "authorization_servers": ["http://auth.example/t1"] })),
            "names no authorization server",
        ),
        (
            World::usual(json!({ "issuer": "https://bank.example" })),
            "something else",
        ),
        (
            World::usual(json!({ "code_challenge_methods_supported": [] })),
            "PKCE",
        ),
        (
            World::usual(json!({ "code_challenge_methods_supported": ["plain"] })),
            "PKCE",
        ),
        (
            World::usual(json!({ "token_endpoint": "http://tokens.example/token" })),
            "not https",
        ),
        (
            World::usual(json!({ "authorization_endpoint": "javascript:alert(1)" })),
            "not https",
        ),
        (
            World::usual(json!({ "token_endpoint": "https://u:p@tokens.example" })),
            "not https",
        ),
        (
            World::usual(json!({})).challenging("Bearer resource_metadata=\"file:///etc\""),
            "not https",
        ),
        (World::default(), "publishes no metadata"),
    ] {
        let error = begin(&world).await.unwrap_err();
        assert!(matches!(error, Error::Unusable(_)), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_strangers_text_is_no_template() {
    let token_endpoint = "https://tokens.example/token?x=${clientSecret}";
    let world = World::usual(json!({ "token_endpoint": token_endpoint }));
    let mut begun = begin(&world).await.unwrap();
    let registration = begun.kept.mcp.as_mut().unwrap();
    registration.client_secret = Some("planted-hush".into());
    registration.server.as_mut().unwrap().resource = "${clientSecret} || x".to_owned();
    let refused = finish(&world, &begun.kept, &[("code", "c-1")]).await;
    refused.unwrap_err();
    let asked = world.asked();
    assert_eq!(
        asked.last().unwrap(),
        "https://tokens.example/token?x=$%7BclientSecret%7D"
    );
    assert_eq!(world.form()["resource"], "${clientSecret} || x");
}
