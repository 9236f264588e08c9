use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use linkspan_providers::Template;
use ring::hmac;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use secrecy::ExposeSecret;
use serde_json::json;

use super::*;
use crate::endpoint::tests::Nobody;
use crate::sign::Error as Sign;

const EC: &str = include_str!("../sign/vectors/rfc7515-a3-pkcs8.pem");
const RSA: &str = include_str!("../sign/vectors/rfc7515-a2-pkcs8.pem");

/// The templates there are of this mode.
fn template(slug: &str) -> Template {
    let yaml = match slug {
        "apple-app-store" => include_str!("../../../../providers/apple-app-store.yaml"),
        "ghost-admin" => include_str!("../../../../providers/ghost-admin.yaml"),
        "heymarket" => include_str!("../../../../providers/heymarket.yaml"),
        "snowflake-jwt" => include_str!("../../../../providers/snowflake-jwt.yaml"),
        other => panic!("{other}"),
    };
    Template::parse(slug, yaml).unwrap()
}

async fn log_in(slug: &str, entered: Value, connection: Value) -> Result<Login, Rejected> {
    let template = template(slug);
    let connection: Map<String, Value> = serde_json::from_value(connection).unwrap();
    let config = Config {
        template: &template,
        connection: &connection,
        integration: &Map::new(),
    };
    let fields: BTreeMap<String, String> = serde_json::from_value(entered).unwrap();
    let finished = super::log_in(None, &config, &fields.into(), None, &Nobody).await?;
    match finished.credentials {
        Credentials::Jwt(login) => Ok(login),
        other => panic!("{other:?}"),
    }
}

/// A token's header, claims, signed part and signature.
fn parts(login: &Login) -> (Value, Value, String, Vec<u8>) {
    let token = login.token.expose_secret();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let (header, claims) = message.split_once('.').unwrap();
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).unwrap();
    let json = |part: &str| serde_json::from_slice(&bytes(part)).unwrap();
    let parts = (json(header), json(claims));
    (parts.0, parts.1, message.to_owned(), bytes(signature))
}

fn verify_hmac(secret: &[u8], message: &str, signature: &[u8]) {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, message.as_bytes(), signature).unwrap();
}

fn times(login: &Login) -> (i64, i64) {
    (
        login.issued_at.timestamp(),
        login.expires_at.unwrap().timestamp(),
    )
}

fn apple() -> Value {
    json!({ "issuerId": "issuer-1", "privateKeyId": "KEY1", "privateKey": EC })
}

#[tokio::test]
async fn an_ec_key_signs_the_claims_that_have_values() {
    let scope = json!({ "scope": "GET /v1/apps, GET /v1/users ,," });
    let login = log_in("apple-app-store", apple(), scope).await.unwrap();
    let (header, claims, message, signature) = parts(&login);
    assert_eq!(
        header,
        json!({ "alg": "ES256", "kid": "KEY1", "typ": "JWT" })
    );
    let (issued, expires) = times(&login);
    assert_eq!(expires - issued, 900);
    let scope = ["GET /v1/apps", "GET /v1/users"];
    let expected = json!({ "iss": "issuer-1", "aud": "appstoreconnect-v1", "scope": scope,
        "iat": issued, "exp": expires });
    assert_eq!(claims, expected);
    // RFC 7515 appendix A.3.1.
    let point = [
        vec![4],
        URL_SAFE_NO_PAD
            .decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU")
            .unwrap(),
        URL_SAFE_NO_PAD
            .decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")
            .unwrap(),
    ];
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.concat())
        .verify(message.as_bytes(), &signature)
        .unwrap();

    let login = log_in("apple-app-store", apple(), json!({})).await.unwrap();
    assert_eq!(
        parts(&login).1.get("scope"),
        None,
        "an empty list is left out"
    );
}

#[tokio::test]
async fn a_key_in_two_halves_names_itself_and_signs() {
    let (id, secret) = ("0123456789abcdef01234567", "ab".repeat(32));
    let key = format!("{id}:{secret}");
    let login = log_in("ghost-admin", json!({ "privateKey": key }), json!({}))
        .await
        .unwrap();
    let (header, claims, message, signature) = parts(&login);
    assert_eq!(header, json!({ "alg": "HS256", "kid": id }));
    let (issued, expires) = times(&login);
    assert_eq!(
        claims,
        json!({ "aud": "/admin/", "iat": issued, "exp": expires })
    );
    assert_eq!(expires - issued, 300);
    verify_hmac(&[0xab; 32], &message, &signature);
    let wire = login.to_wire("JWT", Some("token"));
    assert_eq!(wire["privateKey"], key);
}

#[tokio::test]
async fn bars_without_spaces_are_part_of_a_key() {
    let id = "a0ee0000-0000-4000-8000-00000000abcd";
    let entered = json!({ "apiSecretId": id, "apiSecretKey": "Hush1" });
    let login = log_in("heymarket", entered, json!({})).await.unwrap();
    let (header, claims, message, signature) = parts(&login);
    assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));
    assert_eq!(claims["iss"], id);
    verify_hmac(format!("{id}||Hush1").as_bytes(), &message, &signature);
}

#[tokio::test]
async fn an_rsa_key_signs_with_its_fingerprint() {
    for key in [RSA.trim().to_owned(), RSA.trim().replace('\n', "\\n")] {
        let entered =
            json!({ "accountIdentifier": "ACME-1", "userName": "BOT", "privateKey": key });
        let login = log_in("snowflake-jwt", entered, json!({})).await.unwrap();
        let (_, claims, message, signature) = parts(&login);
        assert_eq!(claims["sub"], "ACME-1.BOT");
        let key = PrivateKey::from_pem(&key).unwrap();
        let fingerprint = key.fingerprint().unwrap();
        assert!(fingerprint.starts_with("SHA256:"), "{fingerprint}");
        assert_eq!(claims["iss"], format!("ACME-1.BOT.{fingerprint}"));
        // RFC 7515 appendix A.2.1.
        let n = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
        let public = ring::signature::RsaPublicKeyComponents {
            n: URL_SAFE_NO_PAD.decode(n).unwrap(),
            e: vec![1, 0, 1],
        };
        public
            .verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature)
            .unwrap();
    }
}

#[tokio::test]
async fn a_key_that_cannot_sign_is_refused_and_not_shown() {
    let with = |key: &str| {
        let mut entered = apple();
        entered["privateKey"] = key.into();
        log_in("apple-app-store", entered, json!({}))
    };
    for key in [
        "planted-hush",
        "-----BEGIN PRIVATE KEY-----\nplantedhush\n-----END PRIVATE KEY-----",
    ] {
        let Rejected::Auth(error) = with(key).await.unwrap_err() else {
            panic!("the field takes any text");
        };
        assert!(matches!(error, Error::Sign(Sign::Key(_))), "{error}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
    let Rejected::Auth(error) = with(RSA).await.unwrap_err() else {
        panic!("the field takes any text");
    };
    assert!(
        matches!(error, Error::Sign(Sign::WrongKey { .. })),
        "{error}"
    );
    let Rejected::Field(wrong) = with("").await.unwrap_err() else {
        panic!("an empty key is none");
    };
    assert_eq!(wrong.field, "privateKey");
    let unknown = json!({ "issuerId": "i", "privateKeyId": "k", "privateKey": EC, "more": "x" });
    let refused = log_in("apple-app-store", unknown, json!({}))
        .await
        .unwrap_err();
    assert!(matches!(refused, Rejected::Field(wrong) if wrong.field == "more"));
}
