//! The code grant at a server that was found.

use super::*;

#[tokio::test]
async fn a_server_is_found_registered_with_asked_and_asked_again() {
    let world = World::usual(json!({}));
    let begun = begin(&world).await.unwrap();
    let url = &begun.authorize_url;
    assert!(
        url.as_str()
            .starts_with("https://auth.example/t1/authorize?"),
        "{url}"
    );
    let params = query(url);
    for (name, value) in [
        ("a", "b"),
        ("client_id", "client-1"),
        ("redirect_uri", CALLBACK),
        ("resource", SERVER),
        ("scope", "read write"),
        ("code_challenge_method", "S256"),
        ("state", "state-1"),
    ] {
        assert_eq!(params.get(name).map(String::as_str), Some(value), "{name}");
    }
    let expected = [
        SERVER,
        RESOURCE_DOCUMENT,
        ISSUER_DOCUMENT,
        "https://auth.example/register",
    ];
    assert_eq!(world.asked(), expected);

    let tokens = finish(&world, &begun.kept, &[("code", "c-1")])
        .await
        .unwrap();
    let form = world.form();
    for (name, value) in [
        ("grant_type", "authorization_code"),
        ("code", "c-1"),
        ("client_id", "client-1"),
        ("redirect_uri", CALLBACK),
        ("resource", SERVER),
    ] {
        assert_eq!(form.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert!(form.contains_key("code_verifier") && !form.contains_key("client_secret"));

    // What was found is kept: nothing is looked up again.
    let stored = serde_json::to_value(&tokens).unwrap();
    let tokens: Tokens = serde_json::from_value(stored).unwrap();
    let (template, connection) = (generic(), connection(SERVER));
    let config = config(&template, &connection);
    let before = world.asked().len();
    let fresh = refresh(None, &config, &tokens, &world).await.unwrap();
    assert_eq!(world.asked()[before..], ["https://tokens.example/token"]);
    let form = world.form();
    let expected = [
        ("client_id", "client-1"),
        ("grant_type", "refresh_token"),
        ("refresh_token", "r-1"),
        ("resource", SERVER),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(form, BTreeMap::from(expected));
    let Credentials::OAuth2(fresh) = fresh.credentials else {
        panic!("tokens");
    };
    assert_eq!(fresh.mcp.unwrap().client_id, "client-1");
}

#[tokio::test]
async fn a_code_of_another_issuer_is_not_taken() {
    let world = World::usual(json!({ "authorization_response_iss_parameter_supported": true }));
    let begun = begin(&world).await.unwrap();
    let asked = world.asked().len();
    for query in [
        &[("code", "c-1"), ("iss", "https://bank.example")][..],
        &[("code", "c-1")],
    ] {
        let error = finish(&world, &begun.kept, query).await.unwrap_err();
        assert!(matches!(error, Error::Unusable(_)), "{error}");
    }
    assert_eq!(world.asked().len(), asked, "no token request was made");
    let denied = finish(&world, &begun.kept, &[("error", "access_denied")])
        .await
        .unwrap_err();
    assert!(matches!(denied, Error::NoCode(_)), "{denied}");
    let right = [("code", "c-1"), ("iss", "https://auth.example/t1")];
    finish(&world, &begun.kept, &right).await.unwrap();
}

#[tokio::test]
async fn the_caller_cannot_name_another_resource() {
    let world = World::usual(json!({}));
    let params = [("resource", "https://bank.example"), ("prompt", "consent")];
    let begun = begin_with(&world, Identity::default(), &params)
        .await
        .unwrap();
    let params = query(&begun.authorize_url);
    assert_eq!(
        (params["resource"].as_str(), params["prompt"].as_str()),
        (SERVER, "consent")
    );
}
