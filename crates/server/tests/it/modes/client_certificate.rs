//! OAUTH2_CC with a client certificate, which the provider asks for at its token
//! endpoint and at its API.

use std::io::Write as _;
use std::sync::Arc;

use http::Method;
use linkspan_simulator::strict::client_credentials::{
    CLIENT_ID, CLIENT_SECRET, Endpoint, start_tls,
};
use linkspan_simulator::strict::{Answer, Misbehaviour, Strict};
use linkspan_testkit::{Reply, TestApp, relocated};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};

use super::{call, connect, count, full, id, refreshed};

const ENDPOINTS: &[Endpoint] = &[Endpoint {
    path: "/accounts.adp.com/auth/oauth/v2/token",
    names: Some(("client_id", "client_secret")),
    is_json: false,
    grant_type: Some("client_credentials"),
    token: "access_token",
}];
const ROUTE: &str = "/oauth2/auth/adp";

/// Those who vouch for providers and for their clients.
struct Authorities {
    servers: CertifiedIssuer<'static, KeyPair>,
    clients: CertifiedIssuer<'static, KeyPair>,
}

impl Authorities {
    fn new() -> Self {
        let issuer = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        Self {
            servers: issuer(),
            clients: issuer(),
        }
    }

    /// A client's certificate and its key.
    fn client(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.clients).unwrap();
        let trimmed = |pem: String| pem.trim().to_owned();
        (trimmed(certificate.pem()), trimmed(key.serialize_pem()))
    }

    /// TLS that lets in clients with a certificate, and nobody else.
    fn tls(&self) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = params.signed_by(&key, &self.servers).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(self.clients.der().clone()).unwrap();
        let ring = Arc::new(rustls::crypto::ring::default_provider());
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&ring));
        ServerConfig::builder_with_provider(ring)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap()
    }

    /// A file that says whom to trust.
    fn file(&self) -> NamedTempFile {
        let mut file = NamedTempFile::new().unwrap();
        file.write_all(self.servers.pem().as_bytes()).unwrap();
        file
    }
}

/// An app that knows the provider as `adp`, with an integration. New credentials
/// are tried by a call to `/hr/v2/workers`.
async fn start(provider: &Strict, trusted: Option<&NamedTempFile>) -> (TempDir, TestApp) {
    let folder = relocated(&["adp"], &provider.url());
    let file = folder.path().join("adp.yaml");
    let yaml = std::fs::read_to_string(&file).unwrap();
    let tried = yaml.replace(
        "\nproxy:\n",
        "\nproxy:\n  verification: { endpoints: [/hr/v2/workers] }\n",
    );
    assert_ne!(tried, yaml);
    std::fs::write(file, tried).unwrap();
    let mut settings = vec![("LINKSPAN_PROVIDERS_DIR", folder.path().to_str().unwrap())];
    let trusted = trusted.map(|file| file.path().to_str().unwrap());
    settings.extend(trusted.map(|file| ("LINKSPAN_NET_CA_FILE", file)));
    let app = TestApp::start_with(&settings).await;
    let body = json!({
        "unique_key": "adp",
        "provider": "adp",
        "credentials": {
            "type": "OAUTH2", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
        },
    });
    let reply = app.post("/integrations", body).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    (folder, app)
}

fn entered((certificate, key): &(String, String)) -> Value {
    json!({ "client_certificate": certificate, "client_private_key": key })
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_presented_wherever_the_credentials_go_and_the_provider_verified() {
    let authorities = Authorities::new();
    let provider = start_tls(authorities.tls(), ENDPOINTS).await.unwrap();
    let client = authorities.client();
    let trusted = authorities.file();

    let (_folder, app) = start(&provider, Some(&trusted)).await;
    let connection = id(&connect(&app, ROUTE, "", entered(&client)).await);
    let paths = |provider: &Strict| {
        let requests = provider.requests().into_iter();
        requests.map(|request| request.path).collect::<Vec<_>>()
    };
    let (token, tried) = (ENDPOINTS[0].path, "/api.adp.com/hr/v2/workers");
    assert_eq!(paths(&provider), [token, tried]);
    let before = full(&app, "adp", &connection).await["credentials"].clone();
    for _ in 0..2 {
        assert_eq!(call(&app, "adp", &connection, "/x", None).await.status, 200);
    }
    let after = refreshed(&app, "adp", &connection).await.json()["credentials"].clone();
    assert!(
        after["token"].is_string() && after["token"] != before["token"],
        "{after}"
    );
    assert!(
        after.get("client_secret").is_none(),
        "the integration's stays there"
    );
    assert_eq!(call(&app, "adp", &connection, "/y", None).await.status, 200);
    assert_eq!(provider.refusals(), []);
    let calls = ["/api.adp.com/x", "/api.adp.com/x", token, "/api.adp.com/y"];
    assert_eq!(paths(&provider)[2..], calls);

    // A caller's stream goes the same way.
    let headers = [
        ("Provider-Config-Key", "adp"),
        ("Connection-Id", &connection),
    ];
    let large = "x".repeat(2 * 1024 * 1024);
    let key = &app.dev.api_key;
    let reply = app
        .call_as(key, Method::POST, "/proxy/s", &headers, large.into())
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");

    let (_folder, app) = start(&provider, None).await;
    let reply = connect(&app, ROUTE, "", entered(&client)).await;
    assert_eq!(
        reply.code(),
        "upstream_unreachable",
        "an authority that nobody knows"
    );
    assert_eq!(count(&app).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_takes_it_nowhere_else() {
    let authorities = Authorities::new();
    let provider = start_tls(authorities.tls(), ENDPOINTS).await.unwrap();
    let other = Strict::start_tls(authorities.tls(), |_| Ok(Answer::json(&json!({}))));
    let other = other.await.unwrap();
    let moved = |to: &str| {
        let answer = Answer::new(307, "text/plain", String::new());
        Misbehaviour::Answer(answer.with_header("location", to))
    };
    provider.misbehave("/api.adp.com/away", moved(&format!("{}/x", other.url())));
    provider.misbehave("/api.adp.com/within", moved("/api.adp.com/x"));
    let (_folder, app) = start(&provider, Some(&authorities.file())).await;
    let client = authorities.client();
    let connection = id(&connect(&app, ROUTE, "", entered(&client)).await);

    let base = other.url();
    let direct = call(&app, "adp", &connection, "/x", Some(&base)).await;
    assert_eq!(direct.status, 200, "who names another address means it");
    let within = call(&app, "adp", &connection, "/within", None).await;
    assert_eq!(within.status, 200, "{within:?}");
    let away = call(&app, "adp", &connection, "/away", None).await;
    assert_eq!(away.code(), "upstream_unreachable", "{away:?}");
    assert_eq!(other.requests().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_be_used_is_said_to_be_so_and_not_shown() {
    let (authorities, others) = (Authorities::new(), Authorities::new());
    let provider = start_tls(authorities.tls(), ENDPOINTS).await.unwrap();
    let (_folder, app) = start(&provider, Some(&authorities.file())).await;
    let (certificate, key) = authorities.client();
    let (unknown, unknown_key) = others.client();
    let shows_nothing = |reply: &Reply| {
        let text = String::from_utf8_lossy(&reply.body);
        assert!(!text.contains(&unknown_key[40..60]), "{text}");
    };
    for (certificate, code) in [
        (&unknown, "upstream_unreachable"),
        (&certificate, "invalid_certificate_or_key_format"),
    ] {
        let pair = (certificate.clone(), unknown_key.clone());
        let reply = connect(&app, ROUTE, "", entered(&pair)).await;
        assert_eq!(reply.code(), code, "{reply:?}");
        shows_nothing(&reply);
    }
    assert_eq!(provider.requests().len(), 0);
    assert_eq!(count(&app).await, 0);

    // An import with a token asks nobody for one. One that has expired is not tried.
    let token = {
        let connection = connect(
            &app,
            ROUTE,
            "",
            entered(&(certificate.clone(), key.clone())),
        );
        let connection = id(&connection.await);
        full(&app, "adp", &connection).await["credentials"]["token"].clone()
    };
    let import = async |certificate: &str, key: &str| {
        app.post(
            "/connections",
            json!({
                "provider_config_key": "adp",
                "connection_id": "imported",
                "credentials": {
                    "type": "OAUTH2_CC",
                    "token": token,
                    "client_certificate": certificate,
                    "client_private_key": key,
                },
            }),
        )
        .await
    };
    let asked = provider.requests().len();
    let reply = import(&certificate, &unknown_key).await;
    assert_eq!(reply.code(), "invalid_certificate_or_key_format");
    shows_nothing(&reply);
    assert_eq!(provider.requests().len(), asked);

    assert_eq!(import(&certificate, &key).await.status, 200);
    let reply = call(&app, "adp", "imported", "/x", None).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(provider.refusals(), []);
}
