//! What Linkspan sends to your product: verification, then typed payloads.
//!
//! ```
//! use linkspan_client::SecretString;
//! use linkspan_client::webhook::{self, Webhook};
//!
//! # fn main() -> Result<(), webhook::WebhookError> {
//! let signing_key = SecretString::from("the environment's signing key");
//! let body = br#"{"from":"github","type":"forward","providerConfigKey":"github",
//!     "connectionId":"c1","payload":{"action":"opened"}}"#;
//! # let signature = webhook::sign(&signing_key, body);
//! // `signature` is the request's header webhook::SIGNATURE_HEADER, and `body`
//! // its bytes as they came: parsing and writing JSON again would change them.
//! match webhook::receive(&signing_key, body, &signature)? {
//!     Webhook::Forward(event) => assert_eq!(event.payload["action"], "opened"),
//!     other => println!("not for us: {other:?}"),
//! }
//! # Ok(())
//! # }
//! ```

mod payload;

use ring::hmac;
use secrecy::{ExposeSecret, SecretString};

pub use payload::{
    AsyncAction, AsyncActionEvent, AuthError, AuthEvent, AuthOperation, ForwardEvent, SyncEvent,
    SyncResults, SyncType, Webhook,
};

/// The header with the signature: HMAC-SHA256 of the body with the
/// environment's signing key, in hexadecimal.
pub const SIGNATURE_HEADER: &str = "X-Nango-Hmac-Sha256";

/// Why a webhook was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The signature is not that of the body with this key. Answer 401, and
    /// do not act on the body.
    #[error("the signature does not fit the body")]
    Signature,
    /// The body is not what Linkspan sends.
    #[error("unexpected payload: {0}")]
    Payload(#[from] serde_json::Error),
}

/// Checks that the holder of the signing key sent this body. Takes the same
/// time wherever a wrong signature differs.
///
/// The signature covers no time, so whoever recorded a webhook can send it
/// again: act on each so that twice does no harm.
///
/// # Errors
/// [`WebhookError::Signature`].
pub fn verify(
    signing_key: &SecretString,
    body: &[u8],
    signature: &str,
) -> Result<(), WebhookError> {
    let signature = unhex(signature.trim()).ok_or(WebhookError::Signature)?;
    hmac::verify(&key(signing_key), body, &signature).map_err(|_| WebhookError::Signature)
}

/// Verifies a webhook and reads its payload.
///
/// # Errors
/// [`WebhookError::Signature`] as [`verify`]; [`WebhookError::Payload`] as
/// [`Webhook::parse`].
pub fn receive(
    signing_key: &SecretString,
    body: &[u8],
    signature: &str,
) -> Result<Webhook, WebhookError> {
    verify(signing_key, body, signature)?;
    Webhook::parse(body)
}

/// The signature of a body: for tests of your own receiver.
#[must_use]
pub fn sign(signing_key: &SecretString, body: &[u8]) -> String {
    let signature = hmac::sign(&key(signing_key), body);
    signature
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn key(signing_key: &SecretString) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, signing_key.expose_secret().as_bytes())
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let (pairs, rest) = digits.as_deref()?.as_chunks::<2>();
    let byte = |[high, low]: &[u32; 2]| u8::try_from(high * 16 + low).ok();
    rest.is_empty().then(|| pairs.iter().map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    const SIGNATURE: &str = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    const BODY: &[u8] = b"what do ya want for nothing?";

    #[test]
    fn the_key_s_holder_is_told_from_others() {
        let key = SecretString::from("Jefe");
        assert!(verify(&key, BODY, SIGNATURE).is_ok());
        assert!(verify(&key, BODY, &SIGNATURE.to_uppercase()).is_ok());
        assert_eq!(sign(&key, BODY), SIGNATURE);
        let other = SecretString::from("jefe");
        assert!(verify(&other, BODY, SIGNATURE).is_err());
        assert!(verify(&key, &BODY[1..], SIGNATURE).is_err());
        let shorter = &SIGNATURE[2..];
        let flipped = SIGNATURE.replacen('5', "4", 1);
        for wrong in ["", "x", "é", shorter, &SIGNATURE[1..], &flipped, "zz"] {
            let refused = verify(&key, BODY, wrong);
            assert!(matches!(refused, Err(WebhookError::Signature)), "{wrong:?}");
        }
    }

    #[test]
    fn what_is_not_signed_is_not_read() {
        let key = SecretString::from("Jefe");
        assert!(matches!(
            receive(&key, b"{", "00"),
            Err(WebhookError::Signature)
        ));
        assert!(matches!(
            receive(&key, b"{", &sign(&key, b"{")),
            Err(WebhookError::Payload(_))
        ));
    }
}
