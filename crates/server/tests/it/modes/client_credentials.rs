//! OAUTH2_CC.

use std::io::Write as _;
use std::sync::Arc;

use linkspan_simulator::strict::Strict;
use linkspan_simulator::strict::client_credentials::{
    CLIENT_ID, CLIENT_SECRET, Endpoint, start, start_tls,
};
use linkspan_testkit::TestApp;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tempfile::NamedTempFile;

use super::refused::expect_refusals;
use super::{call, connect, count, delete, full, id, integrate, refreshed, start_at};

/// Three providers: a form with the client in it, a Basic header, and JSON whose
/// answer has the token deeper.
const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/auth.listrak.com/oauth2/token",
        names: Some(("client_id", "client_secret")),
        is_json: false,
        grant_type: Some("client_credentials"),
        token: "access_token",
    },
    Endpoint {
        path: "/api.8x8.com/oauth/v2/token",
        names: None,
        is_json: false,
        grant_type: Some("client_credentials"),
        token: "access_token",
    },
    Endpoint {
        path: "/api.personio.de/v1/auth",
        names: Some(("client_id", "client_secret")),
        is_json: true,
        grant_type: None,
        token: "data.token",
    },
    Endpoint {
        path: "/accounts.adp.com/auth/oauth/v2/token",
        names: Some(("client_id", "client_secret")),
        is_json: false,
        grant_type: Some("client_credentials"),
        token: "access_token",
    },
];

fn entered() -> Value {
    json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET })
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_carry_calls_and_are_renewed() {
    let provider = start(ENDPOINTS).await.unwrap();
    let slugs = ["listrak", "8x8", "personio"];
    let (_folder, app) = start_at(&provider, &slugs, &[]).await;
    for (slug, more) in [
        ("listrak", ""),
        ("8x8", "&params[oauth_scopes]=a,b"),
        ("personio", "&params[partnerId]=p&params[appId]=a"),
    ] {
        integrate(&app, slug, "").await;
        let connection = id(&connect(&app, &format!("/oauth2/auth/{slug}"), more, entered()).await);
        assert_eq!(
            call(&app, slug, &connection, "/x", None).await.status,
            200,
            "{slug}"
        );
        let before = full(&app, slug, &connection).await["credentials"].clone();
        assert_eq!(before["type"], "OAUTH2_CC");
        assert_eq!(before["client_id"], CLIENT_ID);
        assert!(before["expires_at"].is_string(), "{before}");
        let after = refreshed(&app, slug, &connection).await.json()["credentials"].clone();
        assert!(
            after["token"].is_string() && after["token"] != before["token"],
            "{after}"
        );
        assert_eq!(
            call(&app, slug, &connection, "/x", None).await.status,
            200,
            "{slug}"
        );
        delete(&app, slug, &connection).await;
    }
    assert_eq!(provider.refusals(), []);
    let asked = provider.requests_to("/api.8x8.com/oauth/v2/token");
    assert!(String::from_utf8_lossy(&asked[0].body).contains("scope=a+b"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_does_not_take_is_not_stored() {
    let provider = start(ENDPOINTS).await.unwrap();
    let (_folder, app) = start_at(&provider, &["listrak"], &[]).await;
    integrate(&app, "listrak", "").await;
    let wrong = json!({ "client_id": CLIENT_ID, "client_secret": "planted-wrong" });
    let route = "/oauth2/auth/listrak";
    expect_refusals(&app, &provider, route, "", &wrong, &entered()).await;
    let reply = connect(&app, route, "", json!({})).await;
    assert_eq!(reply.code(), "invalid_body");
    assert_eq!(count(&app).await, 0);
}

/// A provider that wants a certificate of its clients' authority.
struct Mutual {
    provider: Strict,
    authority: NamedTempFile,
    certificate: String,
    key: String,
}

async fn mutual() -> Mutual {
    let issuer = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    };
    let signed = |name: &str, issuer: &CertifiedIssuer<'_, KeyPair>| {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, issuer).unwrap(), key)
    };
    let (servers, clients) = (issuer(), issuer());
    let (leaf, leaf_key) = signed("localhost", &servers);
    let (certificate, key) = signed("client", &clients);
    let mut roots = RootCertStore::empty();
    roots.add(clients.der().clone()).unwrap();
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&ring));
    let tls = ServerConfig::builder_with_provider(ring)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(
            vec![leaf.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf_key.serialize_der())),
        )
        .unwrap();
    let mut authority = NamedTempFile::new().unwrap();
    authority.write_all(servers.pem().as_bytes()).unwrap();
    Mutual {
        provider: start_tls(tls, ENDPOINTS).await.unwrap(),
        authority,
        certificate: certificate.pem().trim().to_owned(),
        key: key.serialize_pem().trim().to_owned(),
    }
}

async fn integrate_with_client(app: &TestApp) {
    let body = json!({
        "unique_key": "adp",
        "provider": "adp",
        "credentials": {
            "type": "OAUTH2", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
        },
    });
    let reply = app.post("/integrations", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_presented_and_the_provider_verified() {
    let Mutual {
        provider,
        authority,
        certificate,
        key,
    } = mutual().await;
    let entered = json!({ "client_certificate": certificate, "client_private_key": key });
    let route = "/oauth2/auth/adp";

    let trusted = [("LINKSPAN_NET_CA_FILE", authority.path().to_str().unwrap())];
    let (_folder, app) = start_at(&provider, &["adp"], &trusted).await;
    integrate_with_client(&app).await;
    let connection = id(&connect(&app, route, "", entered.clone()).await);
    let before = full(&app, "adp", &connection).await["credentials"].clone();
    let after = refreshed(&app, "adp", &connection).await.json()["credentials"].clone();
    assert!(
        after["token"].is_string() && after["token"] != before["token"],
        "{after}"
    );
    assert!(
        after.get("client_secret").is_none(),
        "the integration's stays there"
    );
    assert_eq!(provider.refusals(), []);
    assert_eq!(provider.requests().len(), 2);

    let others = mutual().await;
    for (certificate, key, code) in [
        (&others.certificate, &others.key, "upstream_unreachable"),
        (&certificate, &others.key, "invalid_credentials"),
    ] {
        let entered = json!({ "client_certificate": certificate, "client_private_key": key });
        let reply = connect(&app, route, "", entered).await;
        assert_eq!(reply.code(), code, "{reply:?}");
    }
    assert_eq!(provider.requests().len(), 2);
    assert_eq!(count(&app).await, 1);

    let (_folder, app) = start_at(&provider, &["adp"], &[]).await;
    integrate_with_client(&app).await;
    let reply = connect(&app, route, "", entered).await;
    assert_eq!(
        reply.code(),
        "upstream_unreachable",
        "an authority that nobody knows"
    );
    assert_eq!(provider.requests().len(), 2);
    assert_eq!(count(&app).await, 0);
}
