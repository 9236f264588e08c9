//! Calls to each route where a person's credentials come in, with templates
//! small enough to show what a mode needs.

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::live::Checker;

/// Routes, each with a template for it (`TOKENS` is where tokens are sold), the
/// client or the configuration that its integration needs, and what a person enters.
fn logins() -> Vec<(&'static str, &'static str, Value, Value)> {
    let client = |mode: &str| json!({ "credentials": { "type": mode, "client_id": "i", "client_secret": "s" } });
    vec![
        (
            "/oauth2/auth",
            "auth_mode: OAUTH2_CC\ntoken_url: TOKENS/token\n",
            Value::Null,
            json!({ "client_id": "i", "client_secret": "s" }),
        ),
        (
            "/auth/two-step",
            "auth_mode: TWO_STEP\ntoken_url: TOKENS/token\n\
             token_params: { user: '${credentials.username}' }\n\
             token_response: { token: access_token }\n\
             credentials:\n  username: { type: string, title: U }\n",
            Value::Null,
            json!({ "username": "u" }),
        ),
        (
            "/auth/jwt",
            "auth_mode: JWT\nsignature: { protocol: HMAC }\n\
             token:\n  signing_key: '${credentials.privateKey}'\n  expires_in_ms: 300000\n  \
             header: { alg: HS256 }\n  payload: { aud: a }\n\
             credentials:\n  privateKey: { type: string, title: K, secret: true }\n",
            Value::Null,
            json!({ "privateKey": "00".repeat(32) }),
        ),
        (
            "/auth/tba",
            "auth_mode: TBA\n",
            client("TBA"),
            json!({ "token_id": "i", "token_secret": "s" }),
        ),
        (
            "/auth/bill",
            "auth_mode: BILL\ntoken_url: TOKENS/token\n",
            Value::Null,
            json!({ "username": "u", "password": "p", "organization_id": "o", "dev_key": "k" }),
        ),
        (
            "/auth/signature",
            "auth_mode: SIGNATURE\nsignature: { protocol: WSSE }\n\
             token: { expires_in_ms: 300000 }\n\
             credentials:\n  username: { type: string, title: U }\n  \
             password: { type: string, title: P, secret: true }\n",
            Value::Null,
            json!({ "username": "u", "password": "p" }),
        ),
        (
            "/auth/aws-sigv4",
            "auth_mode: AWS_SIGV4\n\
             credentials:\n  role_arn: { type: string, title: R }\n\
             integration_config:\n  service: { type: string, title: S }\n  \
             stsMode: { type: string, title: M }\n  \
             stsEndpointUrl: { type: string, title: E }\n",
            json!({ "integration_config": { "service": "s3", "stsMode": "custom",
                "stsEndpointUrl": "TOKENS/keys" } }),
            json!({ "role_arn": "arn:aws:iam::123456789012:role/r", "region": "eu-west-1" }),
        ),
        (
            "/auth/oauth-outbound",
            "auth_mode: OAUTH2\ninstallation: outbound\ntoken_url: TOKENS/token\n\
             authorization_code_param_in_webhook: code\n",
            client("OAUTH2"),
            Value::Null,
        ),
    ]
}

fn slug(route: &str) -> String {
    format!("login-{}", route.rsplit('/').next().unwrap())
}

/// Writes the templates, whose tokens are sold at the address that is given back.
pub(super) async fn templates() -> (TempDir, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(sell(stream));
        }
    });
    let folder = tempfile::tempdir().unwrap();
    for (route, yaml, ..) in logins() {
        let yaml = yaml.replace("TOKENS", &address);
        let yaml = format!("display_name: Test\ncategories: [other]\n{yaml}");
        let file = folder.path().join(format!("{}.yaml", slug(route)));
        std::fs::write(file, yaml).unwrap();
    }
    (folder, address)
}

/// Answers one request, whatever it is, with a token, a session and keys.
async fn sell(mut stream: TcpStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    let token = json!({ "access_token": "t", "token_type": "bearer", "expires_in": 3600,
        "sessionId": "s", "userId": "u", "accessKeyId": "k", "secretAccessKey": "s",
        "sessionToken": "t" });
    let token = token.to_string();
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{token}",
        token.len()
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

/// Connects once by every route, and shows the connections with what each has
/// for credentials.
pub(super) async fn all(checker: &mut Checker<'_>, address: &str) {
    for (route, _, needs, entered) in logins() {
        let slug = slug(route);
        let mut body = json!({ "unique_key": slug, "provider": slug });
        let needs = needs.to_string().replace("TOKENS", address);
        let needs: Value = serde_json::from_str(&needs).unwrap();
        for (name, value) in needs.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        checker.made("/integrations", "/integrations", body).await;
        // A session makes up what connections of its integrations need.
        let path = "/connect/sessions";
        let session = json!({ "tags": { "a": "b" } });
        let session = checker.made(path, path, session).await;
        let token = session["data"]["token"].as_str().unwrap();
        let path = format!("{route}/{slug}?connect_session_token={token}");
        let template = format!("{route}/{{}}");
        let made = checker.made(&template, &path, entered).await;
        let id = made["connectionId"].as_str().unwrap();
        let path = format!("/connections/{id}?provider_config_key={slug}");
        checker.shown("/connections/{}", &path).await;
    }
}
