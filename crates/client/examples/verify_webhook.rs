//! Receives webhooks on port 4004 (`PORT` names another), and answers 401 to
//! those that the signing key's holder did not send. Run it with
//! `LINKSPAN_SIGNING_KEY`, then send it something:
//!
//! ```text
//! BODY='{"from":"nango","type":"auth","operation":"creation","connectionId":"c1","providerConfigKey":"demo","provider":"demo","environment":"dev","authMode":"OAUTH2","success":true}'
//! SIGNATURE=$(printf %s "$BODY" | openssl dgst -sha256 -hmac "$LINKSPAN_SIGNING_KEY" -r | cut -d' ' -f1)
//! curl -i localhost:4004 -H "X-Nango-Hmac-Sha256: $SIGNATURE" -d "$BODY"
//! ```
//!
//! A product has a web framework; this reads HTTP by hand so as to need none.

use std::error::Error;

use linkspan_client::SecretString;
use linkspan_client::webhook::{self, SIGNATURE_HEADER, Webhook};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

const MOST_BYTES: usize = 1 << 20;

#[expect(
    clippy::disallowed_methods,
    reason = "an example is a program of its own"
)]
fn setting(name: &str) -> Result<String, Box<dyn Error>> {
    std::env::var(name).map_err(|_| format!("{name} is not set").into())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let key = SecretString::from(setting("LINKSPAN_SIGNING_KEY")?);
    let port = setting("PORT").unwrap_or_else(|_| "4004".to_owned());
    let listener = TcpListener::bind(format!("127.0.0.1:{port}")).await?;
    println!("Listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        if let Err(error) = serve(stream, &key).await {
            eprintln!("{error}");
        }
    }
}

async fn serve(stream: TcpStream, key: &SecretString) -> Result<(), Box<dyn Error>> {
    let mut stream = BufReader::new(stream);
    let (mut signature, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if line.trim().is_empty() {
            break;
        }
        match line.split_once(':') {
            Some((name, value)) if name.eq_ignore_ascii_case(SIGNATURE_HEADER) => {
                signature = value.trim().to_owned();
            }
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse()?;
            }
            _ => {}
        }
    }
    if length > MOST_BYTES {
        return Err("the body is too large".into());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await?;
    let status = match webhook::receive(key, &body, &signature) {
        Ok(event) => {
            act_on(event);
            "204 No Content"
        }
        Err(error) => {
            eprintln!("Refused: {error}");
            "401 Unauthorized"
        }
    };
    let answer = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(answer.as_bytes()).await?;
    Ok(())
}

fn act_on(event: Webhook) {
    match event {
        Webhook::Auth(auth) if auth.success => println!("Connected: {}", auth.connection_id),
        Webhook::Auth(auth) => println!("To be reconnected: {}", auth.connection_id),
        other => println!("{other:?}"),
    }
}
