//! Signatures, as pure functions: what they need of time and chance is passed
//! in, so that each is held against its specification's own examples
//! (`vectors/`).
//!
//! Hashes, HMAC, Ed25519 and RSA with SHA-2 are ring's; ECDSA on P-256 is
//! `p256`'s, since ring takes no key without its public half, as `SEC1` files
//! often are; RSA with SHA-1, which ring only verifies, is `rsa`'s.

pub mod aws_sigv4;
pub mod http_message;
pub(crate) mod jwk;
pub mod jwt;
mod key;
pub mod oauth1;
mod pem;
pub mod wsse;

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub use key::PrivateKey;

/// Everything but RFC 3986's unreserved characters (section 2.3), which both
/// OAuth 1.0 (RFC 5849 section 3.6) and AWS escape.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why something cannot be signed. No message holds a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The private key is none, or of a kind that is not known.
    #[error("the private key cannot be read: {0}")]
    Key(&'static str),
    /// The algorithm is not known.
    #[error("signature algorithm `{0}` is not supported; use one of {known}", known = jwt::NAMES.join(", "))]
    Algorithm(String),
    /// The key is for another algorithm.
    #[error("{algorithm} takes {wanted}")]
    WrongKey {
        /// The algorithm that was asked for.
        algorithm: &'static str,
        /// What it would need.
        wanted: &'static str,
    },
    /// An HMAC secret that should be hexadecimal is not.
    #[error("the signing secret is not hexadecimal")]
    Hex,
    /// A value cannot be part of a header.
    #[error("{0} has characters that no HTTP header can carry")]
    Header(&'static str),
    /// The system gave no random bytes.
    #[error("the system's random generator failed")]
    Random,
}

/// Appends `text` with everything escaped but the unreserved characters.
pub(crate) fn escape(text: &str, out: &mut String) {
    out.extend(utf8_percent_encode(text, STRICT));
}

pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, STRICT).to_string()
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
