//! What each auth mode takes, and what its provider gives for it: keys, passwords,
//! certificates' keys, tokens, cookies. The provider repeats what it is sent when it
//! refuses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use linkspan_api::integrations::{CreateIntegration, UpdateIntegration};
use linkspan_simulator::SeenRequest;
use linkspan_simulator::strict::{Answer, Strict};
use linkspan_testkit::{Reply, TestApp, relocated};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::planted::Planted;

const RSA: &str = include_str!("../../../../auth/src/sign/vectors/rfc7515-a2-pkcs8.pem");
const APP: &str = include_str!("../modes/keys/app.pem");
const CODE: &str = "planted-code-of-a-popup-0f6b";

/// What a provider gives out.
const BOUGHT: [(&str, &str); 9] = [
    ("access_token", "planted-bought-access-token-11aa"),
    ("refresh_token", "planted-bought-refresh-token-22bb"),
    ("token", "planted-bought-app-token-33cc"),
    ("sessionId", "planted-bought-session-44dd"),
    ("secretAccessKey", "planted-bought-secret-key-55ee"),
    ("sessionToken", "planted-bought-session-token-66ff"),
    ("client_secret", "planted-bought-client-secret-7711"),
    (
        "registration_access_token",
        "planted-bought-registration-8822",
    ),
    ("cookie", "planted-bought-cookie-9933"),
];

/// Real templates, which take any text for a secret.
const REAL: [&str; 5] = [
    "crisp-plugin-install",
    "github-app",
    "github-app-oauth",
    "linear-mcp",
    "twitter",
];

/// Sells everything to everybody, or refuses.
pub(super) struct Provider {
    strict: Strict,
    refuses: Arc<AtomicBool>,
}

impl Provider {
    pub(super) async fn start() -> Self {
        let refuses = Arc::new(AtomicBool::new(false));
        let is_refusing = Arc::clone(&refuses);
        let strict = Strict::start(move |request| {
            Ok(match is_refusing.load(Ordering::SeqCst) {
                true => refusal(request),
                false => sold(),
            })
        });
        let strict = strict.await.unwrap();
        Self { strict, refuses }
    }

    /// The templates of the modes, all at this provider.
    pub(super) fn templates(&self) -> TempDir {
        let folder = relocated(&REAL, &self.strict.url());
        for mode in modes().iter().filter(|mode| !mode.yaml.is_empty()) {
            let head = "display_name: Test\ncategories: [other]\n";
            let yaml = mode.yaml.replace("HERE", &self.strict.url());
            let file = folder.path().join(format!("{}.yaml", mode.slug));
            std::fs::write(file, format!("{head}{yaml}")).unwrap();
        }
        folder
    }

    /// What it says while it refuses.
    async fn refusing<T>(&self, work: impl Future<Output = T>) -> T {
        self.refuses.store(true, Ordering::SeqCst);
        let done = work.await;
        self.refuses.store(false, Ordering::SeqCst);
        done
    }
}

fn sold() -> Answer {
    let fixed = json!({ "token_type": "bearer", "expires_in": 3600, "client_id": "registered",
        "accessKeyId": "AKIA1", "userId": "u" });
    let mut answer = fixed.as_object().unwrap().clone();
    answer.extend(BOUGHT.map(|(name, value)| (name.to_owned(), value.into())));
    let cookie = format!("session={}", BOUGHT[8].1);
    Answer::json(&answer.into()).with_header("set-cookie", &cookie)
}

fn refusal(request: &SeenRequest) -> Answer {
    let body = String::from_utf8_lossy(&request.body);
    let words = format!("not with {body} {}", request.raw_query);
    let body = json!({ "error": "invalid_grant", "error_description": words });
    Answer::new(400, "application/json", body.to_string())
}

/// How credentials come in.
enum Way {
    /// By a form's route.
    Form(&'static str),
    /// By `POST /connections`.
    Import(Value),
    /// By a popup, whose callback has this query and the state as this parameter.
    Popup(&'static str, &'static str),
}

struct Mode {
    slug: &'static str,
    /// Its template, if it is not a real one; `HERE` is the provider's address.
    yaml: &'static str,
    /// What its integration needs.
    needs: Value,
    way: Way,
    entered: Value,
}

fn form(slug: &'static str, route: &'static str, yaml: &'static str, entered: Value) -> Mode {
    Mode {
        slug,
        yaml,
        needs: json!({}),
        way: Way::Form(route),
        entered,
    }
}

/// A certificate for clients, and its key.
fn certificate() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn forms() -> Vec<Mode> {
    let (certificate, key) = certificate();
    vec![
        form(
            "secret-cc",
            "/oauth2/auth",
            "auth_mode: OAUTH2_CC\ntoken_url: HERE/token\n",
            json!({ "client_id": "i", "client_secret": "planted-cc-client-secret-1a" }),
        ),
        form(
            "secret-mtls",
            "/oauth2/auth",
            "auth_mode: OAUTH2_CC\ntoken_url: HERE/token\nrequire_client_certificate: true\n",
            json!({ "client_id": "i", "client_secret": "planted-mtls-client-secret-2b",
                "client_certificate": certificate, "client_private_key": key }),
        ),
        form(
            "secret-assertion",
            "/oauth2/auth",
            "auth_mode: OAUTH2_CC\ntoken_url: HERE/token\n\
             token_request_auth_method: private_key_jwt\n",
            json!({ "client_id": "i", "client_private_key": RSA }),
        ),
        form(
            "secret-two-step",
            "/auth/two-step",
            "auth_mode: TWO_STEP\ntoken_url: HERE/token\nbody_format: form\n\
             token_params:\n  user: '${credentials.user}'\n  pass: '${credentials.passphrase}'\n  \
             assertion: '${credentials.assertion}'\n\
             token_response: { token: access_token, refresh_token: refresh_token }\n\
             token_response_headers: [set-cookie]\n\
             refresh_token_params: { refresh: '${refresh_token}' }\n\
             assertion: { type: saml, key: '${assertionOption.privateKey}', issuer: i,\n  \
             lifetimeInSeconds: '600', audiences: a, nameIdentifier: n, recipient: r,\n  \
             sessionIndex: s, attributes: {} }\n\
             credentials:\n  user: { type: string, title: U }\n  \
             passphrase: { type: string, title: P, secret: true }\n  \
             assertion: { type: string, title: A, automated: true, secret: true }\n\
             assertion_option:\n  privateKey: { type: string, title: K, secret: true }\n",
            json!({ "user": "u", "passphrase": "planted-two-step-passphrase-3c",
                "assertionOption": { "privateKey": RSA } }),
        ),
        form(
            "secret-jwt",
            "/auth/jwt",
            "auth_mode: JWT\nsignature: { protocol: RSA }\n\
             token:\n  signing_key: '${credentials.privateKey}'\n  expires_in_ms: 300000\n  \
             header: { alg: RS256 }\n  payload: { aud: a }\n\
             credentials:\n  privateKey: { type: string, title: K, secret: true }\n",
            json!({ "privateKey": RSA }),
        ),
        form(
            "secret-bill",
            "/auth/bill",
            "auth_mode: BILL\ntoken_url: HERE/token\n",
            json!({ "username": "u", "password": "planted-bill-password-4d",
                "organization_id": "o", "dev_key": "planted-bill-dev-key-5e" }),
        ),
        form(
            "secret-signature",
            "/auth/signature",
            "auth_mode: SIGNATURE\nsignature: { protocol: WSSE }\n\
             token: { expires_in_ms: 300000 }\n\
             credentials:\n  username: { type: string, title: U }\n  \
             password: { type: string, title: P, secret: true }\n",
            json!({ "username": "u", "password": "planted-wsse-password-6f" }),
        ),
    ]
}

/// Those whose integration has secrets, too.
fn modes() -> Vec<Mode> {
    let imported = |credentials: Value| Way::Import(credentials);
    let app = json!({ "credentials": { "type": "APP", "app_id": "4711",
        "app_link": "https://github.com/apps/ours", "private_key": APP } });
    let mut custom = app.clone();
    custom["credentials"]["type"] = "CUSTOM".into();
    custom["credentials"]["client_id"] = "i".into();
    custom["credentials"]["client_secret"] = "planted-custom-client-secret-1b".into();
    let client = |mode: &str, secret: &str| json!({ "credentials": { "type": mode, "client_id": "i", "client_secret": secret } });
    let mode = |slug, yaml, needs, way, entered| Mode {
        slug,
        yaml,
        needs,
        way,
        entered,
    };
    let mut modes = forms();
    modes.extend([
        mode(
            "secret-tba",
            "auth_mode: TBA\n",
            client("TBA", "planted-tba-client-secret-2c"),
            Way::Form("/auth/tba"),
            json!({ "token_id": "i", "token_secret": "planted-tba-token-secret-3d",
                "oauth_client_id_override": "own",
                "oauth_client_secret_override": "planted-tba-own-secret-4e" }),
        ),
        mode(
            "secret-aws",
            "auth_mode: AWS_SIGV4\nintegration_config:\n  service: { type: string, title: S }\n  \
             stsMode: { type: string, title: M }\n  stsEndpointUrl: { type: string, title: E }\n  \
             stsAuthType: { type: string, title: T }\n  \
             stsApiKey: { type: string, title: K, secret: true }\n  \
             awsSecretAccessKey: { type: string, title: A, secret: true, optional: true }\n\
             credentials:\n  role_arn: { type: string, title: R }\n",
            json!({ "integration_config": { "service": "s3", "stsMode": "custom",
                "stsEndpointUrl": "HERE/keys", "stsAuthType": "api_key",
                "stsApiKey": "planted-sts-api-key-5f",
                "awsSecretAccessKey": "planted-aws-secret-key-6a" } }),
            Way::Form("/auth/aws-sigv4"),
            json!({ "role_arn": "arn:aws:iam::123456789012:role/r", "region": "eu-west-1" }),
        ),
        mode(
            "crisp-plugin-install",
            "",
            json!({ "credentials": { "type": "INSTALL_PLUGIN",
                "app_link": "https://app.crisp.chat/initiate/plugin/p1/", "username": "id-1",
                "password": "planted-plugin-password-7b" } }),
            Way::Popup("payload", "website_id=w-1"),
            json!({}),
        ),
        mode(
            "linear-mcp",
            "",
            json!({}),
            Way::Popup("state", "code=planted-code-of-a-popup-0f6b"),
            json!({}),
        ),
        mode(
            "github-app",
            "",
            app,
            imported(json!({ "type": "APP", "installation_id": "77" })),
            json!({}),
        ),
        mode(
            "github-app-oauth",
            "",
            custom,
            imported(json!({ "type": "CUSTOM", "installation_id": "77" })),
            json!({}),
        ),
        mode(
            "twitter",
            "",
            client("OAUTH1", "planted-oauth1-client-secret-8c"),
            imported(
                json!({ "type": "OAUTH1", "oauth_token": "planted-oauth1-token-9d",
                "oauth_token_secret": "planted-oauth1-token-secret-0e",
                "config_override": { "client_id": "own",
                    "client_secret": "planted-oauth1-own-secret-1f" } }),
            ),
            json!({}),
        ),
    ]);
    modes
}

/// The texts that must not be found: what is planted, and the second line of keys.
fn secrets(of: &Value) -> Vec<String> {
    match of {
        Value::String(text) if text.starts_with("planted") => vec![text.clone()],
        Value::String(text) if text.contains("PRIVATE KEY") => {
            vec![text.lines().nth(1).unwrap().to_owned()]
        }
        Value::Array(items) => items.iter().flat_map(secrets).collect(),
        Value::Object(fields) => fields.values().flat_map(secrets).collect(),
        _ => Vec::new(),
    }
}

/// An object with one of its texts in a list, where none is expected, or more of
/// them.
fn spoilt(given: &Value) -> Vec<Value> {
    let fields = given.as_object().unwrap();
    let mut spoilt = Vec::new();
    for (name, value) in fields.iter().filter(|(_, value)| value.is_string()) {
        let mut wrong = given.clone();
        wrong[name] = json!([value]);
        spoilt.push(wrong);
        let mut more = given.clone();
        more["more"] = value.clone();
        spoilt.push(more);
    }
    spoilt
}

/// Connects by every mode, with wrong entries, while the provider refuses, and with
/// success; then refreshes and calls.
pub(super) async fn all(app: &TestApp, provider: &Provider, planted: &mut Planted) {
    planted.secret(CODE);
    for (_, bought) in BOUGHT {
        planted.secret(bought);
    }
    let mut kept = 0;
    for mode in modes() {
        let needs = mode.needs.to_string();
        let needs = needs.replace("HERE", &provider.strict.url());
        let needs: Value = serde_json::from_str(&needs).unwrap();
        integrate(app, &mode, &needs, planted).await;
        for wrong in wrong(&mode) {
            let reply = connect(app, &mode, &wrong).await;
            planted.refused(&reply, 400);
        }
        let entered = match &mode.way {
            Way::Import(credentials) => credentials,
            _ => &mode.entered,
        };
        let refused = provider.refusing(connect(app, &mode, entered)).await;
        planted.seen(&refused);
        let made = connect(app, &mode, entered).await;
        assert_eq!(made.status, 200, "{}: {made:?}", mode.slug);
        kept += used(app, &mode, provider, planted).await;
        let own = [secrets(entered), secrets(&needs)].concat();
        own.into_iter().for_each(|secret| planted.secret(secret));
    }
    assert!(kept > 20, "they are there to be found: {kept}");
}

fn wrong(mode: &Mode) -> Vec<Value> {
    match &mode.way {
        Way::Form(_) => spoilt(&mode.entered),
        Way::Import(credentials) => spoilt(credentials),
        Way::Popup(..) => Vec::new(),
    }
}

async fn integrate(app: &TestApp, mode: &Mode, needs: &Value, planted: &mut Planted) {
    let with = |needs: &Value| {
        let mut body = json!({ "unique_key": mode.slug, "provider": mode.slug });
        let fields = needs.as_object().unwrap().clone();
        body.as_object_mut().unwrap().extend(fields);
        body
    };
    for (name, value) in needs.as_object().unwrap() {
        for wrong in spoilt(value) {
            let reply = app
                .post("/integrations", with(&json!({ name: wrong })))
                .await;
            planted.refused(&reply, 400);
        }
    }
    planted.shown::<CreateIntegration>(with(needs));
    planted.shown::<UpdateIntegration>(needs.clone());
    let made = app.post("/integrations", with(needs)).await;
    assert_eq!(made.status, 200, "{}: {made:?}", mode.slug);
    planted.refused(&app.post("/integrations", with(needs)).await, 409);
}

/// One way in, with these entries.
async fn connect(app: &TestApp, mode: &Mode, entered: &Value) -> Reply {
    let slug = mode.slug;
    match &mode.way {
        Way::Form(route) => {
            let token = app.connect_session().await;
            let path = format!("{route}/{slug}?connect_session_token={token}");
            app.post(&path, entered.clone()).await
        }
        Way::Import(_) => {
            let body = json!({ "provider_config_key": slug, "connection_id": slug,
                "credentials": entered });
            app.post("/connections", body).await
        }
        Way::Popup(state, query) => {
            let start = app.begin(slug, &app.connect_session().await).await;
            let location = start.header("location");
            let location = location.unwrap_or_else(|| panic!("{slug}: {start:?}"));
            let location: url::Url = location.parse().unwrap();
            let mut pairs = location.query_pairs();
            let given = pairs.find(|(name, _)| name == state).unwrap().1;
            let back = format!("http://x/oauth/callback?{state}={given}&{query}");
            app.come_back(&back, start.header("set-cookie")).await
        }
    }
}

/// Shows the connection, refreshes it in vain, and calls. Says how many of its
/// secrets its backend can see.
async fn used(app: &TestApp, mode: &Mode, provider: &Provider, planted: &mut Planted) -> usize {
    let slug = mode.slug;
    let list = app.get(&format!("/connections?integrationId={slug}")).await;
    let id = list.json()["connections"][0]["connection_id"].clone();
    let id = id.as_str().unwrap_or_else(|| panic!("{slug}: {list:?}"));
    let path = format!("/connections/{id}?provider_config_key={slug}");
    let shown = app.get(&path).await.json();
    let kept = secrets(&shown["credentials"]);
    assert!(!kept.is_empty(), "{slug}: {shown}");
    let forced = format!("{path}&force_refresh=true");
    let refreshed = provider.refusing(app.get(&forced)).await;
    planted.seen(&refreshed);
    let url = provider.strict.url();
    let headers = [
        ("Provider-Config-Key", slug),
        ("Connection-Id", id),
        ("Base-Url-Override", &url),
    ];
    let key = &app.dev.api_key;
    let call = app.call_as(key, Method::GET, "/proxy/x", &headers, Value::Null);
    let answer = provider.refusing(call).await;
    assert_eq!(answer.status, 400, "{slug}: it was called: {answer:?}");
    kept.len()
}
