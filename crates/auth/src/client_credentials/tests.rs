use linkspan_providers::{AuthMode, Catalogue};
use secrecy::ExposeSecret;

use super::*;
use crate::login::scripted::{Anything, Scripted, connect, connect_to, earlier, texts};

const RSA: &str = include_str!("../sign/vectors/rfc7515-a2-pkcs8.pem");
const CLIENT: [(&str, &str); 2] = [("client_id", "i@d"), ("client_secret", "s&t")];
const GOOD: &str = "{\"access_token\":\"t\",\"data\":{\"token\":\"t\"},\"jwt\":\"t\"}";

fn shared() -> Client {
    Client {
        client_id: "ours".to_owned(),
        client_secret: Some("our-secret".into()),
        ..Client::default()
    }
}

#[tokio::test]
async fn the_client_goes_where_the_template_puts_it() {
    for (slug, config, expected) in [
        (
            "listrak",
            &[][..],
            "client_id=i%40d&client_secret=s%26t&grant_type=client_credentials",
        ),
        (
            "bliro",
            &[],
            "{\"audience\":\"https://api.bliro.io\",\"client_id\":\"i@d\",\"client_secret\":\"s&t\",\"grant_type\":\"client_credentials\"}",
        ),
        (
            "zoominfo",
            &[],
            "{\"password\":\"s&t\",\"username\":\"i@d\"}",
        ),
        ("8x8", &[], "grant_type=client_credentials"),
        (
            "8x8",
            &[("oauth_scopes", "a,b")],
            "grant_type=client_credentials&scope=a+b",
        ),
        (
            "domo",
            &[("oauth_scopes", "a b")],
            "grant_type=client_credentials&scope=a%2Cb",
        ),
        (
            "roller",
            &[],
            "{\"client_id\":\"i@d\",\"client_secret\":\"s&t\"}",
        ),
    ] {
        let endpoint = Scripted::new(&[(200, GOOD)]);
        let login = match slug {
            // Its template asks for other forms of the two.
            "domo" => {
                connect_to(
                    slug,
                    config,
                    &[
                        ("client_id", "5ab87915-2deb-429c-a1e2-8b0495900f45"),
                        ("client_secret", &"a".repeat(64)),
                    ],
                    &endpoint,
                )
                .await
            }
            _ => connect_to(slug, config, &CLIENT, &endpoint).await,
        };
        login.unwrap_or_else(|error| panic!("{slug}: {error}"));
        let seen = endpoint.seen().remove(0);
        assert_eq!(seen.lines().last(), Some(expected), "{slug}");
        if slug == "8x8" {
            // "i@d:s&t", as it is
            assert!(seen.contains("authorization: Basic aUBkOnMmdA=="), "{seen}");
        }
    }
    let endpoint = Scripted::new(&[(200, GOOD)]);
    connect_to("kno-commerce", &[], &CLIENT, &endpoint)
        .await
        .unwrap();
    let seen = endpoint.seen().remove(0);
    assert!(
        seen.starts_with(
            "POST https://app-api.knocommerce.com/api/oauth2/token?grant_type=client_credentials\n"
        ),
        "{seen}"
    );
    assert!(
        seen.contains("Basic") && !seen.contains("content-type"),
        "{seen}"
    );
}

#[tokio::test]
async fn the_integrations_client_stands_in_and_is_not_stored() {
    let catalogue = Catalogue::builtin().unwrap();
    let template = catalogue.get("spotify-oauth2-cc").unwrap();
    let endpoint = Scripted::new(&[(200, GOOD)]);
    let shared = shared();
    let made = connect(template, Some(&shared), &[], Entered::default(), &endpoint)
        .await
        .unwrap();
    assert!(
        !serde_json::to_string(&made.credentials)
            .unwrap()
            .contains("our-secret")
    );
    // "ours:our-secret"
    assert!(endpoint.seen()[0].contains("Basic b3VyczpvdXItc2VjcmV0"));
    let own = texts(&[("client_id", "theirs")]).into();
    let half = connect(template, Some(&shared), &[], own, &endpoint)
        .await
        .unwrap_err();
    assert_eq!(half.to_string(), "`client_secret` is required");
    let none = connect(template, None, &[], Entered::default(), &endpoint)
        .await
        .unwrap_err();
    assert_eq!(none.to_string(), "`client_id` is required");
    assert_eq!(endpoint.seen().len(), 1);
}

#[tokio::test]
async fn the_integrations_client_goes_to_no_address_of_the_connections() {
    let catalogue = Catalogue::builtin().unwrap();
    let evil = [("hostname", "evil.example"), ("tenantId", "evil")];
    let endpoint = Scripted::new(&[(200, GOOD)]);
    for slug in ["salesforce-cc", "auth0-cc", "microsoft-oauth2-cc"] {
        let template = catalogue.get(slug).unwrap();
        let entered = Entered::default();
        let refused = connect(template, Some(&shared()), &evil, entered, &endpoint).await;
        let told = refused.unwrap_err().to_string();
        assert!(
            told.starts_with("`client_id` is required: the integration's client is not sent"),
            "{slug}: {told}"
        );
        // Nor for a connection that was made otherwise.
        let config = Config {
            template,
            connection: &texts(&evil),
            integration: &Map::new(),
        };
        let before = earlier(None);
        let (client, entered) = (shared(), Entered::default());
        let again = log_in(Some(&client), &config, &entered, Some(&before), &endpoint).await;
        assert_eq!(again.unwrap_err().to_string(), told, "{slug}");
    }
    assert_eq!(endpoint.seen(), [] as [&str; 0]);
    let template = catalogue.get("microsoft-oauth2-cc").unwrap();
    let entered = texts(&CLIENT).into();
    connect(template, Some(&shared()), &evil, entered, &endpoint)
        .await
        .unwrap();
    assert!(!endpoint.seen()[0].contains("our"), "the person's own");
}

#[test]
fn a_client_is_entered_and_not_brought_beside() {
    let catalogue = Catalogue::builtin().unwrap();
    let connection = texts(&[
        ("oauth_client_id_override", "own"),
        ("oauth_client_secret_override", "hush"),
    ]);
    for (slug, is_taken) in [("spotify-oauth2-cc", false), ("spotify", true)] {
        let config = Config {
            template: catalogue.get(slug).unwrap(),
            connection: &connection,
            integration: &Map::new(),
        };
        let brought = Client::brought(&config, Vec::new());
        assert_eq!(brought.is_some(), is_taken, "{slug}");
    }
}

#[tokio::test]
async fn a_key_signs_for_the_client() {
    let jwk =
        include_str!("../sign/vectors/rfc7515-a2.jwk.json").replacen('{', "{\"kid\":\"k1\",", 1);
    for (key, kid) in [(jwk.as_str(), Some("k1")), (RSA, None)] {
        let endpoint = Scripted::new(&[(200, GOOD)]);
        let fields = [("client_id", "cid"), ("client_private_key", key)];
        let config = [
            ("hostname", "o.example"),
            ("oauth_scopes", "okta.users.read"),
        ];
        connect_to("okta-cc", &config, &fields, &endpoint)
            .await
            .unwrap();
        let seen = endpoint.seen().remove(0);
        let body = seen.lines().last().unwrap();
        let params: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(body.as_bytes())
            .into_owned()
            .collect();
        assert_eq!(params["scope"], "okta.users.read");
        assert_eq!(params.get("client_secret"), None);
        let decode = |part: usize| -> Value {
            use base64::Engine as _;
            let part = params["client_assertion"].split('.').nth(part).unwrap();
            let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
                .decode(part)
                .unwrap();
            serde_json::from_slice(&bytes).unwrap()
        };
        let (header, claims) = (decode(0), decode(1));
        assert_eq!(
            (header["alg"].as_str(), header["kid"].as_str()),
            (Some("RS256"), kid)
        );
        assert_eq!(claims["iss"], "cid");
        assert_eq!(claims["sub"], "cid");
        assert_eq!(claims["aud"], "https://o.example/oauth2/v1/token");
        assert_eq!(
            claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(),
            300
        );
    }
    let endpoint = Scripted::default();
    let fields = [("client_id", "cid"), ("client_private_key", "hush")];
    let error = connect_to("okta-cc", &[("hostname", "o.example")], &fields, &endpoint)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the private key cannot be read"),
        "{error}"
    );
    assert!(!error.to_string().contains("hush"));
}

#[tokio::test]
async fn a_certificate_travels_with_the_request_alone() {
    let catalogue = Catalogue::builtin().unwrap();
    let template = catalogue.get("adp").unwrap();
    let certificate = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
    let key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----";
    let endpoint = Scripted::new(&[(200, GOOD)]);
    let entered = texts(&[
        ("client_certificate", certificate),
        ("client_private_key", key),
    ])
    .into();
    connect(template, Some(&shared()), &[], entered, &endpoint)
        .await
        .unwrap();
    let presented: ClientCertificate = endpoint.extension().unwrap();
    assert_eq!(presented.certificate_pem, certificate);
    assert_eq!(presented.key_pem.expose_secret(), key);
    assert!(!endpoint.seen()[0].contains("PRIVATE"));
    let none = connect(
        template,
        Some(&shared()),
        &[],
        Entered::default(),
        &endpoint,
    )
    .await;
    assert_eq!(
        none.unwrap_err().to_string(),
        "`client_certificate` is required"
    );
}

#[tokio::test]
async fn answers_of_every_shape_are_read() {
    for (slug, answer, token, minutes) in [
        (
            "listrak",
            json!({ "access_token": "a", "expires_in": 3600 }),
            Some("a"),
            60,
        ),
        (
            "listrak",
            json!({ "access_token": "a", "expires_in": "120" }),
            Some("a"),
            2,
        ),
        ("listrak", json!({ "access_token": "a" }), Some("a"), 55),
        (
            "listrak",
            json!({ "access_token": "a", "expires_at": "2020-01-01T00:00:00Z" }),
            Some("a"),
            55,
        ),
        (
            "personio",
            json!({ "success": true, "data": { "token": "b" } }),
            Some("b"),
            55,
        ),
        ("zoominfo", json!({ "jwt": "c" }), Some("c"), 55),
        (
            "fiserv",
            json!({ "access_token": "d", "expires_in": 900_000 }),
            Some("d"),
            15,
        ),
        (
            "salesforce-cc",
            json!({ "access_token": "e", "instance_url": "https://i.example" }),
            Some("e"),
            55,
        ),
        ("listrak", json!({ "access_token": "" }), None, 0),
        ("listrak", json!({}), None, 0),
        ("listrak", json!("a"), None, 0),
        (
            "listrak",
            json!({ "error": "invalid_client", "error_description": "wrong" }),
            None,
            0,
        ),
    ] {
        let endpoint = Scripted::new(&[(200, &answer.to_string())]);
        let config = [("hostname", "h.example"), ("hostUrl", "h.example")];
        match (connect_to(slug, &config, &CLIENT, &endpoint).await, token) {
            (Ok(login), Some(token)) => {
                assert_eq!(login.token.expose_secret(), token);
                let life = login.expires_at.unwrap() - login.issued_at;
                assert_eq!(life.num_minutes(), minutes, "{slug} {answer}");
            }
            (Err(error), None) => {
                assert_eq!(
                    error.code(),
                    linkspan_api::ErrorCode::InvalidCredentials,
                    "{error}"
                );
            }
            (other, _) => panic!("{answer}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn all_templates_log_in() {
    let catalogue = Catalogue::builtin().unwrap();
    let (mut walked, mut without) = (0, Vec::new());
    for template in catalogue
        .iter()
        .filter(|template| template.auth_mode == AuthMode::OAuth2Cc)
    {
        walked += 1;
        if template.token_url.is_none() {
            assert!(template.known_fault.is_some(), "{}", template.slug);
            without.push(template.slug.as_str());
            continue;
        }
        let config = Config {
            template,
            connection: &Anything("h.example"),
            integration: &Anything("i-value"),
        };
        let entered = texts(&[
            ("client_id", "cid"),
            ("client_secret", "sec"),
            ("client_certificate", "cert"),
            ("client_private_key", RSA),
        ]);
        let endpoint = Scripted::new(&[(200, GOOD)]);
        let made = log_in(
            None,
            &config,
            &entered.into(),
            Some(&earlier(None)),
            &endpoint,
        )
        .await;
        made.unwrap_or_else(|error| panic!("{}: {error}", template.slug));
        let seen = endpoint.seen().remove(0);
        assert!(!seen.contains("${"), "{}: {seen}", template.slug);
        let has_client = ["cid", "Basic ", "client_assertion="]
            .iter()
            .any(|part| seen.contains(part));
        assert!(has_client, "{}: {seen}", template.slug);
    }
    assert_eq!((walked, without.as_slice()), (110, &["certn-partner"][..]));
}
