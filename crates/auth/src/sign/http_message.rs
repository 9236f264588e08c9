//! HTTP message signatures (RFC 9421). A template writes its signature base
//! itself (section 2.5); what is left is to sign it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{Error, PrivateKey};

/// The signature of a signature base by Ed25519 (RFC 9421 section 3.3.6), in
/// base64, as it stands between the colons of a `Signature` header.
///
/// # Errors
/// [`Error::Key`], [`Error::WrongKey`].
pub fn ed25519(base: &str, pem: &str) -> Result<String, Error> {
    let key = PrivateKey::from_pem(pem)?;
    Ok(STANDARD.encode(key.sign_ed25519(base.as_bytes())?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9421 appendix B.2.6.
    #[test]
    fn rfc9421_b26() {
        let base = r#""date": Tue, 20 Apr 2021 02:07:55 GMT
"@method": POST
"@path": /foo
"@authority": example.com
"content-type": application/json
"content-length": 18
"@signature-params": ("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519""#;
        let signature = ed25519(base, include_str!("vectors/rfc9421-ed25519.pem"));
        assert_eq!(
            signature.as_deref(),
            Ok(
                "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="
            )
        );
    }
}
