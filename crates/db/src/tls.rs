//! Opening a connection, with or without TLS.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(super) async fn connect(url: &str) -> Result<Client, tokio_postgres::Error> {
    connect_hearing(url, |_| {}).await
}

/// Connects, and calls `hear` with each message that the server sends unasked.
pub(super) async fn connect_hearing(
    url: &str,
    hear: impl Fn(AsyncMessage) + Send + 'static,
) -> Result<Client, tokio_postgres::Error> {
    let mut config: Config = url.parse()?;
    notice_silence(&mut config);
    match config.get_ssl_mode() {
        SslMode::Require => open(&config, MakeRustlsConnect::new(verifying()), hear).await,
        _ => open(&config, NoTls, hear).await,
    }
}

/// A server that is gone without a word is noticed within half a minute, not by
/// TCP's own quarter of an hour: a worker that waits for it so long would not learn
/// that its jobs run elsewhere by now. What the URL says counts.
fn notice_silence(config: &mut Config) {
    const UNANSWERED: Duration = Duration::from_secs(15);
    const DRIVERS_DEFAULT: Duration = Duration::from_secs(2 * 60 * 60);
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(UNANSWERED);
    }
    if config.get_keepalives_idle() == DRIVERS_DEFAULT {
        config.keepalives_idle(UNANSWERED);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_interval(UNANSWERED / 3);
    }
}

fn verifying() -> rustls::ClientConfig {
    let roots = Arc::new(rustls::RootCertStore {
        roots: webpki_roots::TLS_SERVER_ROOTS.to_vec(),
    });
    let builder = rustls::ClientConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ));
    // ring supports both default protocol versions, so this cannot fail.
    match builder.with_safe_default_protocol_versions() {
        Ok(builder) => builder.with_root_certificates(roots).with_no_client_auth(),
        Err(_) => unreachable!("ring supports TLS 1.2 and 1.3"),
    }
}

async fn open<T>(
    config: &Config,
    tls: T,
    hear: impl Fn(AsyncMessage) + Send + 'static,
) -> Result<Client, tokio_postgres::Error>
where
    T: MakeTlsConnect<Socket>,
    T::Stream: Send + 'static,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, mut connection) = config.connect(tls).await?;
    // Ends by itself when the client is dropped or the server goes; the next
    // query on the client then fails with "connection closed".
    tokio::spawn(async move {
        while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                Ok(message) => hear(message),
                Err(error) => {
                    tracing::debug!(%error, "database connection ended");
                    break;
                }
            }
        }
    });
    Ok(client)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noticed(url: &str) -> Config {
        let mut config = url.parse().unwrap();
        notice_silence(&mut config);
        config
    }

    /// Idle connections are asked, and what was sent must be taken: both in half a
    /// minute, where the system's own limits are hours and a quarter of one.
    #[test]
    fn a_server_that_is_gone_without_a_word_is_noticed_within_half_a_minute() {
        let config = noticed("postgres://a@b/c");
        let sent = config.get_tcp_user_timeout().copied();
        assert!(sent.is_some_and(|limit| limit <= Duration::from_secs(30)));
        assert!(config.get_keepalives());
        let asked = config.get_keepalives_idle() + 2 * config.get_keepalives_interval().unwrap();
        assert!(asked <= Duration::from_secs(30), "{asked:?}");
    }

    #[test]
    fn what_the_url_says_counts() {
        let config = noticed(
            "postgres://a@b/c?tcp_user_timeout=70&keepalives_idle=80&keepalives_interval=9",
        );
        let seconds = Duration::from_secs;
        assert_eq!(config.get_tcp_user_timeout(), Some(&seconds(70)));
        assert_eq!(config.get_keepalives_idle(), seconds(80));
        assert_eq!(config.get_keepalives_interval(), Some(seconds(9)));
    }
}
