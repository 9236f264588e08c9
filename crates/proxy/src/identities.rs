//! Who a call is to an API that asks for a client certificate.

use std::borrow::Cow;
use std::time::Duration;

use linkspan_net as net;
use linkspan_shared::connections::Live;
use linkspan_shared::tenancy::EnvironmentId;
use moka::future::Cache;
use secrecy::ExposeSecret;

use crate::error::Error;

/// Clients: bounds the memory, and the keys that are in it.
const ENTRIES: u64 = 1_000;
/// How long a client waits for the next call of its connection.
const IDLE: Duration = Duration::from_secs(300);

/// The clients that present certificates, one for each version of a connection's
/// credentials. A handshake costs more than the call, so that they are kept with
/// their connections, and these are never another's.
pub(crate) struct Identities {
    clients: Cache<(EnvironmentId, i64, i64), net::Client>,
}

impl Identities {
    pub(crate) fn new() -> Self {
        Self {
            clients: Cache::builder()
                .max_capacity(ENTRIES)
                .time_to_idle(IDLE)
                .build(),
        }
    }

    /// `client`, or one like it that presents what the connection's template asks
    /// for.
    ///
    /// # Errors
    /// The certificate or its key is missing or cannot be used.
    pub(crate) async fn client<'a>(
        &self,
        client: &'a net::Client,
        live: &Live,
    ) -> Result<Cow<'a, net::Client>, Error> {
        if !live.template.require_client_certificate {
            return Ok(Cow::Borrowed(client));
        }
        let connection = &live.connection;
        let key = (
            connection.environment_id,
            connection.id,
            connection.credentials_version,
        );
        if let Some(known) = self.clients.get(&key).await {
            return Ok(Cow::Owned(known));
        }
        let certificate =
            linkspan_auth::client_certificate(&live.template, &connection.credentials)?;
        let Some(certificate) = certificate else {
            return Ok(Cow::Borrowed(client));
        };
        let presenting = client.presenting(&net::Identity {
            certificate_pem: &certificate.certificate_pem,
            key_pem: certificate.key_pem.expose_secret(),
        })?;
        self.clients.insert(key, presenting.clone()).await;
        Ok(Cow::Owned(presenting))
    }
}
