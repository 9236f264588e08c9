//! Private keys as people paste them: RFC 7468, but with line breaks lost or
//! written as `\n`, as they are when a key passes through a form or JSON.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

use super::Error;

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A larger text is no key: RSA with 16,384 bits takes 13 KB.
const MAX_LENGTH: usize = 32 * 1024;

/// What a PEM text holds.
pub(super) struct Pem<'a> {
    /// For example `RSA PRIVATE KEY`.
    pub(super) label: &'a str,
    /// Its DER.
    pub(super) der: Zeroizing<Vec<u8>>,
}

/// Reads the first private or public key of a text.
pub(super) fn parse(text: &str) -> Result<Pem<'_>, Error> {
    if text.len() > MAX_LENGTH {
        return Err(Error::Key("it is too long"));
    }
    let begin = first_key(text).ok_or(Error::Key(
        "it is not PEM, which begins with `-----BEGIN PRIVATE KEY-----`",
    ))?;
    let (label, rest) = begin
        .split_once("-----")
        .ok_or(Error::Key("its first line is incomplete"))?;
    let (body, _) = rest
        .split_once("-----END ")
        .ok_or(Error::Key("its last line is missing"))?;
    if label == "ENCRYPTED PRIVATE KEY" || body.contains("ENCRYPTED") {
        return Err(Error::Key(
            "it is protected by a passphrase; remove that first",
        ));
    }
    let der = LENIENT
        .decode(&*base64_only(body))
        .map_err(|_| Error::Key("it is not valid base64 between its first and last line"))?;
    Ok(Pem {
        label,
        der: Zeroizing::new(der),
    })
}

/// What follows `-----BEGIN ` of the first key. OpenSSL puts the parameters of a
/// curve before an EC key.
fn first_key(text: &str) -> Option<&str> {
    text.split("-----BEGIN ")
        .skip(1)
        .find(|block| !block.starts_with("EC PARAMETERS"))
}

/// The body without its white space, written out or not.
fn base64_only(body: &str) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(body.len()));
    let mut bytes = body.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            byte if byte.is_ascii_whitespace() => {}
            byte => out.push(byte),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = include_str!("vectors/rfc9421-ed25519.pem");

    #[test]
    fn line_breaks_may_be_lost_or_written_out() {
        let expected = parse(KEY).unwrap();
        assert_eq!(expected.label, "PRIVATE KEY");
        assert_eq!(expected.der.len(), 48);
        for text in [
            KEY.replace('\n', " "),
            KEY.replace('\n', "\\n"),
            KEY.replace('\n', "\\r\\n"),
            KEY.replace('\n', "\r\n"),
            KEY.replace('\n', ""),
            format!(
                "Bag attributes\n-----BEGIN EC PARAMETERS-----\nBggq\n-----END EC PARAMETERS-----\n{KEY}"
            ),
        ] {
            let read = parse(&text).unwrap();
            assert_eq!(
                (read.label, &read.der),
                (expected.label, &expected.der),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let encrypted = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END RSA PRIVATE KEY-----";
        for (text, reason) in [
            ("", "it is not PEM"),
            ("secret", "it is not PEM"),
            ("-----BEGIN PRIVATE", "its first line"),
            ("-----BEGIN PRIVATE KEY-----\nAAAA", "its last line"),
            (
                "-----BEGIN PRIVATE KEY-----\nA!A\n-----END PRIVATE KEY-----",
                "not valid base64",
            ),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
                "passphrase",
            ),
            (encrypted, "passphrase"),
            (&"-".repeat(40_000), "too long"),
        ] {
            let Err(Error::Key(message)) = parse(text) else {
                panic!("{text}");
            };
            assert!(message.contains(reason), "{text}: {message}");
        }
    }
}
