//! Private keys, read from PEM.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p256::ecdsa::signature::Signer as _;
use p256::pkcs8::{DecodePrivateKey as _, EncodePublicKey as _};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair as _, RsaEncoding, RsaKeyPair};
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use zeroize::Zeroizing;

use super::{Error, pem};

/// What stands before an Ed25519 public key in its SubjectPublicKeyInfo
/// (RFC 8410 section 4).
const ED25519_INFO: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

/// A private key: RSA (PKCS#1 or PKCS#8), EC on P-256 (SEC1 or PKCS#8), or
/// Ed25519 (PKCS#8). `Debug` shows its kind alone.
pub struct PrivateKey(Kind);

enum Kind {
    Rsa {
        der: Zeroizing<Vec<u8>>,
        is_pkcs8: bool,
    },
    P256(p256::SecretKey),
    Ed25519(Box<Ed25519KeyPair>),
}

impl PrivateKey {
    /// Reads a key from PEM, whose line breaks may be lost or written as `\n`.
    ///
    /// # Errors
    /// [`Error::Key`] says what is wrong, and never shows the key.
    pub fn from_pem(text: &str) -> Result<Self, Error> {
        let pem = pem::parse(text)?;
        match pem.label {
            "RSA PRIVATE KEY" => rsa_key(pem.der, false),
            "EC PRIVATE KEY" => p256::SecretKey::from_sec1_der(&pem.der)
                .map(|key| Self(Kind::P256(key)))
                .map_err(|_| Error::Key("it is not an EC key on curve P-256")),
            "PRIVATE KEY" => Self::from_pkcs8(pem.der),
            "PUBLIC KEY" | "CERTIFICATE" => Err(Error::Key(
                "it is the public half; the private key is needed",
            )),
            _ => Err(Error::Key("it is not a private key of a known kind")),
        }
    }

    pub(super) fn from_pkcs8(der: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        if let Ok(key) = p256::SecretKey::from_pkcs8_der(&der) {
            return Ok(Self(Kind::P256(key)));
        }
        if let Ok(pair) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der) {
            return Ok(Self(Kind::Ed25519(Box::new(pair))));
        }
        rsa_key(der, true)
    }

    /// ECDSA on P-256 with SHA-256: `r` and `s`, 32 bytes each (RFC 7518
    /// section 3.4), deterministic (RFC 6979).
    pub(super) fn sign_es256(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let Kind::P256(key) = &self.0 else {
            return Err(Error::WrongKey {
                algorithm: "ES256",
                wanted: "an EC private key on curve P-256",
            });
        };
        let signature: p256::ecdsa::Signature = p256::ecdsa::SigningKey::from(key).sign(message);
        Ok(signature.to_bytes().to_vec())
    }

    /// Ed25519 (RFC 8032): 64 bytes.
    pub(super) fn sign_ed25519(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        match &self.0 {
            Kind::Ed25519(pair) => Ok(pair.sign(message).as_ref().to_vec()),
            _ => Err(Error::WrongKey {
                algorithm: "Ed25519",
                wanted: "an Ed25519 private key (`-----BEGIN PRIVATE KEY-----`)",
            }),
        }
    }

    /// RSA with SHA-256 and PKCS#1 v1.5 padding (RFC 8017 section 8.2).
    ///
    /// # Errors
    /// [`Error::WrongKey`], [`Error::Key`], [`Error::Random`].
    pub(crate) fn sign_rs256(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.sign_rsa("RSA-SHA256", &ring::signature::RSA_PKCS1_SHA256, message)
    }

    /// RSA with SHA-2 and either padding.
    pub(super) fn sign_rsa(
        &self,
        algorithm: &'static str,
        encoding: &'static dyn RsaEncoding,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let (der, is_pkcs8) = self.rsa(algorithm)?;
        let pair = if is_pkcs8 {
            RsaKeyPair::from_pkcs8(der)
        } else {
            RsaKeyPair::from_der(der)
        };
        let pair = pair.map_err(|_| {
            Error::Key("it is an RSA key of less than 2,048 or more than 4,096 bits, or damaged")
        })?;
        let mut signature = vec![0; pair.public().modulus_len()];
        pair.sign(encoding, &SystemRandom::new(), message, &mut signature)
            .map_err(|_| Error::Random)?;
        Ok(signature)
    }

    /// RSA with SHA-1 and PKCS#1 v1.5 padding (RFC 5849 section 3.4.3).
    pub(super) fn sign_rsa_sha1(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let (der, is_pkcs8) = self.rsa("RSA-SHA1")?;
        let key = parsed_rsa(der, is_pkcs8)?;
        let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, message);
        // Blinded with the system's random bytes; without them it fails.
        key.sign(rsa::Pkcs1v15Sign::new::<sha1::Sha1>(), hash.as_ref())
            .map_err(|_| Error::Random)
    }

    /// `SHA256:` and the hash, in base64, of the public half as a
    /// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7).
    ///
    /// # Errors
    /// [`Error::Key`].
    pub fn fingerprint(&self) -> Result<String, Error> {
        let failed = |_| Error::Key("its public half cannot be made");
        let public = match &self.0 {
            Kind::Rsa { der, is_pkcs8 } => parsed_rsa(der, *is_pkcs8)?
                .to_public_key()
                .to_public_key_der()
                .map_err(failed)?
                .into_vec(),
            Kind::P256(key) => key
                .public_key()
                .to_public_key_der()
                .map_err(failed)?
                .into_vec(),
            Kind::Ed25519(pair) => [ED25519_INFO, pair.public_key().as_ref()].concat(),
        };
        Ok(fingerprint_of(&public))
    }

    fn rsa(&self, algorithm: &'static str) -> Result<(&[u8], bool), Error> {
        match &self.0 {
            Kind::Rsa { der, is_pkcs8 } => Ok((der, *is_pkcs8)),
            _ => Err(Error::WrongKey {
                algorithm,
                wanted: "an RSA private key",
            }),
        }
    }
}

fn fingerprint_of(info: &[u8]) -> String {
    format!("SHA256:{}", STANDARD.encode(digest(&SHA256, info)))
}

fn rsa_key(der: Zeroizing<Vec<u8>>, is_pkcs8: bool) -> Result<PrivateKey, Error> {
    parsed_rsa(&der, is_pkcs8)?;
    Ok(PrivateKey(Kind::Rsa { der, is_pkcs8 }))
}

fn parsed_rsa(der: &[u8], is_pkcs8: bool) -> Result<rsa::PrivateKey, Error> {
    const UNKNOWN: Error =
        Error::Key("it is neither RSA, EC on curve P-256, nor Ed25519, or damaged");
    if is_pkcs8 {
        rsa::PrivateKey::from_pkcs8_der(der).map_err(|_| UNKNOWN)
    } else {
        rsa::PrivateKey::from_pkcs1_der(der).map_err(|_| UNKNOWN)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::Rsa { .. } => "PrivateKey(RSA)",
            Kind::P256(_) => "PrivateKey(P-256)",
            Kind::Ed25519(_) => "PrivateKey(Ed25519)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hashes are what `openssl pkey -pubout -outform DER | openssl dgst
    /// -sha256` says of the keys.
    #[test]
    fn keys_of_every_form_are_read() {
        for (pem, kind, fingerprint) in [
            (
                include_str!("vectors/rfc7515-a2-pkcs1.pem"),
                "PrivateKey(RSA)",
                "SHA256:b9E8JDWjYefFiM0X9V9a098Bd6ZsFyemogCEX016uIw=",
            ),
            (
                include_str!("vectors/rfc7515-a2-pkcs8.pem"),
                "PrivateKey(RSA)",
                "SHA256:b9E8JDWjYefFiM0X9V9a098Bd6ZsFyemogCEX016uIw=",
            ),
            (
                include_str!("vectors/rfc7515-a3-sec1.pem"),
                "PrivateKey(P-256)",
                "SHA256:K9G7DESol8MKeqCZHN442AYv5EHeUNoPRoJTRPYC6Cc=",
            ),
            (
                include_str!("vectors/rfc7515-a3-pkcs8.pem"),
                "PrivateKey(P-256)",
                "SHA256:K9G7DESol8MKeqCZHN442AYv5EHeUNoPRoJTRPYC6Cc=",
            ),
            (
                include_str!("vectors/rfc9421-ed25519.pem"),
                "PrivateKey(Ed25519)",
                "SHA256:NFcWBst6DXG+N35nHdzMrioWntdzNZghQSkjHNMMSjw=",
            ),
        ] {
            let key = PrivateKey::from_pem(pem).unwrap();
            assert_eq!(format!("{key:?}"), kind);
            assert_eq!(key.fingerprint().as_deref(), Ok(fingerprint), "{kind}");
        }
    }

    #[test]
    fn another_key_is_refused_with_a_reason() {
        let public = "-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----";
        let junk = "-----BEGIN PRIVATE KEY-----\nMCow\n-----END PRIVATE KEY-----";
        for (pem, reason) in [(public, "public half"), (junk, "neither RSA")] {
            let error = PrivateKey::from_pem(pem).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let small = include_str!("vectors/oauth1-rsa.pem");
        let small = PrivateKey::from_pem(small).unwrap();
        let error = small
            .sign_rsa("RS256", &ring::signature::RSA_PKCS1_SHA256, b"")
            .unwrap_err();
        assert!(error.to_string().contains("2,048"), "{error}");
        let error = small.sign_es256(b"").unwrap_err().to_string();
        assert_eq!(error, "ES256 takes an EC private key on curve P-256");
        let error = small.sign_ed25519(b"").unwrap_err().to_string();
        assert!(error.starts_with("Ed25519 takes"), "{error}");
    }
}
