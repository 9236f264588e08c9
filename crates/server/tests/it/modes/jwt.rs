//! JWT.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use linkspan_simulator::strict::jwt::{Keys, start as start_provider};
use linkspan_simulator::strict::{Misbehaviour, Strict};
use linkspan_testkit::{TestApp, relocate};
use serde_json::{Value, json};

use super::expired::expect_one_refresh;
use super::{
    IMPATIENT, call, connect, count, delete, full, id, integrate, refreshed, start, start_at,
};

const EC: &str = include_str!("../../../../auth/src/sign/vectors/rfc7515-a3-pkcs8.pem");
const RSA: &str = include_str!("../../../../auth/src/sign/vectors/rfc7515-a2-pkcs8.pem");
const HEYMARKET_ID: &str = "a0ee0000-0000-4000-8000-00000000abcd";
const GHOST_ID: &str = "0123456789abcdef01234567";

/// The public halves of RFC 7515's keys (appendices A.2.1 and A.3.1).
async fn provider() -> Strict {
    let bytes = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
    let x = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    let y = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJ\
             PMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0\
             LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uD\
             Zlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2\
             PAcDTW9gb54h4FRWyuXpoQ";
    let keys = Keys {
        ec_point: [vec![4], bytes(x), bytes(y)].concat(),
        rsa: (bytes(n), vec![1, 0, 1]),
        ghost: (GHOST_ID.to_owned(), vec![0xab; 32]),
        heymarket: format!("{HEYMARKET_ID}||Hush1"),
    };
    start_provider(keys).await.unwrap()
}

/// Each template: what is entered, what the connection is told, and where a call
/// arrives.
fn all() -> [(&'static str, Value, &'static str, &'static str); 4] {
    [
        (
            "apple-app-store",
            json!({ "issuerId": "i-1", "privateKeyId": "K1", "privateKey": EC }),
            "&params[scope]=GET%20/v1/apps",
            "/api.appstoreconnect.apple.com/x",
        ),
        (
            "ghost-admin",
            json!({ "privateKey": format!("{GHOST_ID}:{}", "ab".repeat(32)) }),
            "&params[adminDomain]=mock.ghost.io&params[version]=v5.0",
            "/mock.ghost.io/ghost/api/admin/x",
        ),
        (
            "heymarket",
            json!({ "apiSecretId": HEYMARKET_ID, "apiSecretKey": "Hush1" }),
            "",
            "/api.heymarket.com/x",
        ),
        (
            "snowflake-jwt",
            json!({ "accountIdentifier": "ACME-1", "userName": "BOT",
                "privateKey": RSA.trim().replace('\n', "\\n") }),
            "&params[subdomain]=ACME-1",
            "/ACME-1.snowflakecomputing.com/x",
        ),
    ]
}

fn token(provider: &Strict, path: &str) -> String {
    let seen = provider.requests_to(path);
    let last = seen
        .last()
        .unwrap_or_else(|| panic!("nothing arrived at {path}"));
    last.header("authorization").unwrap().to_owned()
}

async fn calls(app: &TestApp, slug: &str, connection: &str) {
    let reply = call(app, slug, connection, "/x", None).await;
    assert_eq!(reply.status, 200, "{slug}: {reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_are_signed_sent_and_signed_anew() {
    let provider = provider().await;
    let all = all();
    let slugs = all.each_ref().map(|(slug, ..)| *slug);
    let (_folder, app) = start_at(&provider, &slugs, &[]).await;
    for (slug, entered, params, path) in all {
        integrate(&app, slug, "").await;
        let made = connect(&app, &format!("/auth/jwt/{slug}"), params, entered).await;
        assert_eq!(
            made.status,
            200,
            "{slug}: {made:?} {:?}",
            provider.refusals()
        );
        let connection = id(&made);
        calls(&app, slug, &connection).await;
        let first = token(&provider, path);
        let credentials = full(&app, slug, &connection).await["credentials"].clone();
        assert_eq!(credentials["type"], "JWT");
        assert!(
            first.ends_with(credentials["token"].as_str().unwrap()),
            "{slug}"
        );
        // Two of the same second may be alike.
        while token(&provider, path) == first {
            assert_eq!(
                refreshed(&app, slug, &connection).await.status,
                200,
                "{slug}"
            );
            calls(&app, slug, &connection).await;
        }
        let of = (slug, &*connection, "/x");
        expect_one_refresh(&app, &provider, of, ("/nobody", 0)).await;
        delete(&app, slug, &connection).await;
    }
    assert_eq!(provider.refusals(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_has_expired_is_not_sent() {
    let provider = provider().await;
    let folder = tempfile::tempdir().unwrap();
    let yaml = relocate("heymarket", &provider.url()).replace("300000", "3000");
    std::fs::write(folder.path().join("heymarket.yaml"), yaml).unwrap();
    let app = start(&folder).await;
    integrate(&app, "heymarket", "").await;
    let (_, mut entered, _, path) = all()[2].clone();
    entered["type"] = "JWT".into();
    let body = json!({ "provider_config_key": "heymarket", "connection_id": "c-1",
        "credentials": entered });
    let imported = app.post("/connections", body).await;
    assert_eq!(imported.status, 200, "{imported:?}");
    calls(&app, "heymarket", "c-1").await;
    let first = token(&provider, path);
    while token(&provider, path) == first {
        calls(&app, "heymarket", "c-1").await;
    }
    assert_eq!(provider.refusals(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_does_not_sign_or_is_not_taken_is_not_stored() {
    let provider = provider().await;
    let slugs = ["apple-app-store", "heymarket"];
    let (_folder, app) = start_at(&provider, &slugs, &[IMPATIENT]).await;
    for slug in slugs {
        integrate(&app, slug, "").await;
    }
    for (key, code) in [
        ("planted-hush", "invalid_credentials"),
        (RSA, "invalid_credentials"),
        ("", "invalid_body"),
    ] {
        let entered = json!({ "issuerId": "i", "privateKeyId": "k", "privateKey": key });
        let refused = connect(&app, "/auth/jwt/apple-app-store", "", entered).await;
        assert_eq!(
            (refused.status.as_u16(), refused.code().as_str()),
            (400, code)
        );
        assert!(!refused.json().to_string().contains("hush"), "{refused:?}");
    }
    let wrong = json!({ "apiSecretId": HEYMARKET_ID, "apiSecretKey": "Other" });
    let route = "/auth/jwt/heymarket";
    assert_eq!(
        connect(&app, route, "", wrong).await.code(),
        "connection_test_failed"
    );
    let right = json!({ "apiSecretId": HEYMARKET_ID, "apiSecretKey": "Hush1" });
    for misbehaviour in [Misbehaviour::Refuse, Misbehaviour::Hang] {
        provider.misbehave("/", misbehaviour);
        assert_eq!(
            connect(&app, route, "", right.clone()).await.code(),
            "connection_test_failed"
        );
    }
    assert_eq!(count(&app).await, 0);
}
