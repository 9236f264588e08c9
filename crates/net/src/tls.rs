//! TLS: whom a client trusts, and who it is to servers that ask.

use std::sync::Arc;

use rustls::client::{Resumption, WantsClientCert};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};

use crate::client::setting;
use crate::error::Error;

/// TLS sessions that a client with a certificate keeps to resume. It calls one
/// provider, and the 256 of a client that calls them all take 64 KiB.
const SESSIONS: usize = 16;

/// Who a client is, to servers that ask for a certificate.
#[derive(Clone, Copy)]
pub struct Identity<'a> {
    /// Its certificate first, and those between it and its authority.
    pub certificate_pem: &'a str,
    /// The certificate's key.
    pub key_pem: &'a str,
}

/// Mozilla's authorities and those of these PEM files.
pub(crate) fn roots(extra: &[Vec<u8>]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for pem in extra {
        let before = roots.len();
        for certificate in CertificateDer::pem_slice_iter(pem) {
            let certificate = certificate.map_err(|_| certificates("not in PEM format"))?;
            roots.add(certificate).map_err(certificates)?;
        }
        if roots.len() == before {
            return Err(certificates("a file contains no certificate"));
        }
    }
    Ok(roots)
}

/// TLS that trusts these authorities and nobody else.
pub(crate) fn verifying(
    roots: &Arc<RootCertStore>,
) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(certificates)?
        .with_root_certificates(Arc::clone(roots)))
}

fn certificates(reason: impl ToString) -> Error {
    setting("extra_root_certificates", reason)
}

/// The same for a client that presents a certificate.
pub(crate) fn identified(
    roots: &Arc<RootCertStore>,
    identity: &Identity<'_>,
) -> Result<ClientConfig, Error> {
    let unusable = |reason: String| Error::Identity { reason };
    let chain = CertificateDer::pem_slice_iter(identity.certificate_pem.as_bytes());
    let chain: Vec<_> = chain
        .collect::<Result<_, _>>()
        .map_err(|_| unusable("the certificate is not in PEM format".to_owned()))?;
    if chain.is_empty() {
        let reason = "there is no certificate in PEM format";
        return Err(unusable(reason.to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
        .map_err(|_| unusable("there is no private key in PEM format".to_owned()))?;
    let mut tls = verifying(roots)?
        .with_client_auth_cert(chain, key)
        .map_err(|error| unusable(error.to_string()))?;
    tls.resumption = Resumption::in_memory_sessions(SESSIONS);
    Ok(tls)
}
