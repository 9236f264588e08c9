//! Certificates, HTTP/2, and handshakes that fail.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use linkspan_net::{Client, Error, Identity, RedirectDenial, Redirects, Settings};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::server::read_request;
use crate::{SOON, client, client_with, get, text};

/// A server with a certificate for `localhost` by an authority of its own.
struct TlsServer {
    port: u16,
    authority: Vec<u8>,
    task: JoinHandle<()>,
}

impl TlsServer {
    async fn start(answer: String, alpn: &[&[u8]]) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &authority).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), answer));
        Self {
            port,
            authority: authority.pem().into_bytes(),
            task,
        }
    }

    fn url(&self, host: &str) -> String {
        format!("https://{host}:{}/", self.port)
    }

    fn trusting_client(&self) -> Client {
        client_with(|settings| settings.extra_root_certificates = vec![self.authority.clone()])
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor, answer: String) {
    while let Ok((socket, _)) = listener.accept().await {
        let Ok(mut stream) = acceptor.accept(socket).await else {
            continue;
        };
        if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            serve_http2(stream).await;
        } else if read_request(&mut stream, 1).await.is_some() {
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    }
}

/// Answers every request of one connection with what it saw.
async fn serve_http2<S>(stream: S)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let mut connection = h2::server::handshake(stream).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let shown = format!("{} host={:?}", request.uri(), request.headers().get("host"));
        let mut body = respond
            .send_response(http::Response::new(()), false)
            .unwrap();
        body.send_data(Bytes::from(shown), true).unwrap();
    }
}

#[tokio::test]
async fn an_added_authority_is_trusted_and_others_are_not() {
    let server = TlsServer::start(crate::server::ok("private"), &[b"http/1.1"]).await;
    let url = server.url("localhost");
    let response = server
        .trusting_client()
        .send(get(&url).map(Into::into), SOON)
        .await
        .unwrap();
    assert_eq!(text(response).await, "private");

    let error = client()
        .send(get(&url).map(Into::into), SOON)
        .await
        .unwrap_err();
    let Error::Tls { host, reason } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(*host, format!("localhost:{}", server.port));
    assert!(reason.contains("UnknownIssuer"), "{reason}");
    assert!(!error.is_retryable());

    let wrong_name = get(&server.url("127.0.0.1")).map(Into::into);
    let error = server
        .trusting_client()
        .send(wrong_name, SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
}

#[tokio::test]
async fn http2_is_spoken_where_the_server_offers_it() {
    let server = TlsServer::start(String::new(), &[b"h2", b"http/1.1"]).await;
    let client = server.trusting_client();
    for _ in 0..2 {
        let request = Request::get(server.url("localhost"))
            .header("host", "elsewhere.example")
            .header("connection", "keep-alive")
            .body(Bytes::new())
            .unwrap();
        let response = client.send(request.map(Into::into), SOON).await.unwrap();
        assert_eq!(response.version(), Version::HTTP_2);
        assert_eq!(
            text(response).await,
            format!("{} host=None", server.url("localhost"))
        );
    }
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_a_connect_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = client_with(|settings| settings.connect_timeout = Duration::from_millis(40));
    let url = format!("https://localhost:{}/", silent.local_addr().unwrap().port());
    let error = client
        .send(get(&url).map(Into::into), SOON)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::TimeoutConnect { .. }), "{error:?}");
}

#[tokio::test]
async fn a_connection_closed_in_the_handshake_is_a_reset() {
    let rude = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = rude.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        while let Ok((socket, _)) = rude.accept().await {
            drop(socket);
        }
    });
    let url = format!("https://localhost:{port}/");
    let error = client()
        .send(get(&url).map(Into::into), SOON)
        .await
        .unwrap_err();
    assert_eq!(
        (error.network_code(), error.is_retryable()),
        (Some("ECONNRESET"), true),
        "{error:?}"
    );
    task.abort();
}

#[tokio::test]
async fn credentials_and_bodies_are_not_redirected_from_https_to_http() {
    let plain =
        crate::server::Server::start(|_| crate::server::Reply::Send(crate::server::ok("plain")))
            .await;
    let location = plain.url_at("localhost", "/");
    let answer = format!("HTTP/1.1 307 Moved\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n");
    let server = TlsServer::start(answer, &[b"http/1.1"]).await;
    let client = server.trusting_client();
    let redirects = Redirects {
        forward_credentials: true,
        ..Redirects::default()
    };

    let with_token = Request::get(server.url("localhost"))
        .header("authorization", "s")
        .body(Bytes::new());
    let with_body = Request::post(server.url("localhost")).body(Bytes::from("secret"));
    for request in [with_token.unwrap(), with_body.unwrap()] {
        let error = client
            .send_following(request, &redirects, SOON)
            .await
            .unwrap_err();
        let reason = RedirectDenial::Downgrade;
        assert!(
            matches!(error, Error::RedirectDenied { reason: seen, .. } if seen == reason),
            "{error:?}"
        );
    }
    assert_eq!(plain.connections(), 0);

    let bare = client
        .send_following(get(&server.url("localhost")), &redirects, SOON)
        .await
        .unwrap();
    assert_eq!(text(bare).await, "plain");
}

#[test]
fn unusable_settings_are_named() {
    for (settings, field) in [
        (
            Settings {
                extra_root_certificates: vec![b"nothing".to_vec()],
                ..Settings::default()
            },
            "extra_root_certificates",
        ),
        (
            Settings {
                user_agent: Some("a\nb".to_owned()),
                ..Settings::default()
            },
            "user_agent",
        ),
    ] {
        let Err(Error::Settings { setting, .. }) = Client::new(settings) else {
            panic!("{field} was accepted")
        };
        assert_eq!(setting, field);
    }
}

/// Those who vouch for servers and for their clients, and a client's certificate.
struct Authorities {
    servers: CertifiedIssuer<'static, KeyPair>,
    clients: CertifiedIssuer<'static, KeyPair>,
    certificate_pem: String,
    key_pem: String,
}

impl Authorities {
    fn new() -> Self {
        let issuer = || {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
        };
        let (servers, clients) = (issuer(), issuer());
        let own = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["us".to_owned()]).unwrap();
        let certificate = certificate.signed_by(&own, &clients).unwrap();
        Self {
            servers,
            clients,
            certificate_pem: certificate.pem(),
            key_pem: own.serialize_pem(),
        }
    }

    fn identity(&self) -> Identity<'_> {
        Identity {
            certificate_pem: &self.certificate_pem,
            key_pem: &self.key_pem,
        }
    }

    /// Trusts the servers, and presents nothing.
    fn trusting_client(&self) -> Client {
        let authority = self.servers.pem().into_bytes();
        client_with(|settings| settings.extra_root_certificates = vec![authority])
    }

    /// A server that lets nobody in without a client's certificate; what it says to
    /// the others, and where it is.
    async fn start_asking(&self, answer: impl FnOnce(&str) -> String) -> String {
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &self.servers).unwrap();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.clients.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&provider),
        );
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                vec![leaf.der().clone()],
                PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let url = format!("https://localhost:{port}/");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(serve(listener, acceptor, answer(&url)));
        url
    }
}

#[tokio::test]
async fn a_certificate_is_presented_and_the_server_still_verified() {
    let authorities = Authorities::new();
    let url = authorities
        .start_asking(|_| crate::server::ok("known"))
        .await;
    let trusting = authorities.trusting_client();
    let identity = authorities.identity();
    let ask = async |client: &Client| client.send(get(&url).map(Into::into), SOON).await;

    let known = ask(&trusting.presenting(&identity).unwrap()).await.unwrap();
    assert_eq!(text(known).await, "known");
    assert!(ask(&trusting).await.is_err(), "it stays with those calls");

    let distrusting = client().presenting(&identity).unwrap();
    let error = ask(&distrusting).await.unwrap_err();
    assert!(
        matches!(&error, Error::Tls { reason, .. } if reason.contains("UnknownIssuer")),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_followed_as_nobody() {
    let moved =
        |to: &str| format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n");
    let authorities = Authorities::new();
    let other = authorities
        .start_asking(|_| crate::server::ok("known"))
        .await;
    let away = authorities.start_asking(|_| moved(&other)).await;
    let within = authorities.start_asking(moved).await;
    let client = authorities.trusting_client();
    let client = client.presenting(&authorities.identity()).unwrap();
    let redirects = Redirects {
        max: 2,
        forward_credentials: true,
        ..Redirects::default()
    };

    let direct = client.send(get(&other).map(Into::into), SOON).await;
    assert_eq!(text(direct.unwrap()).await, "known");
    for client in [client.clone(), client.apart()] {
        let followed = client.send_following(get(&away), &redirects, SOON).await;
        let error = followed.unwrap_err();
        assert!(!matches!(error, Error::RedirectDenied { .. }), "{error:?}");
        // Three requests were let in at the same origin.
        let followed = client.send_following(get(&within), &redirects, SOON).await;
        let error = followed.unwrap_err();
        assert!(
            matches!(error, Error::TooManyRedirects { max: 2 }),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_certificate_that_is_none_is_refused_without_being_shown() {
    let (own, other) = (Authorities::new(), Authorities::new());
    for (certificate_pem, key_pem) in [
        ("", &*own.key_pem),
        (&*own.certificate_pem, "hush"),
        (&own.certificate_pem, &other.key_pem),
        (&own.key_pem, &own.certificate_pem),
    ] {
        let identity = Identity {
            certificate_pem,
            key_pem,
        };
        let error = client().presenting(&identity).unwrap_err().to_string();
        assert!(
            error.starts_with("the client certificate cannot be used"),
            "{error}"
        );
        assert!(!error.contains("hush"), "{error}");
    }
}
