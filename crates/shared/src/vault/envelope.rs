//! AES-256-GCM and HKDF: the only place that touches the cipher.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, MAX_TAG_LEN, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Prk, Salt};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use super::error::Error;

/// Length of every key, in bytes.
pub(super) const KEY_LEN: usize = 32;

/// Key material, erased when dropped.
pub(super) type KeyBytes = Zeroizing<[u8; KEY_LEN]>;

/// A fresh random key.
pub(super) fn random_key() -> Result<KeyBytes, Error> {
    let mut key = KeyBytes::default();
    SystemRandom::new()
        .fill(key.as_mut_slice())
        .map_err(|_| Error::Random)?;
    Ok(key)
}

/// A key as the cipher uses it. It lives for one operation, because the cipher
/// cannot erase it.
pub(super) fn cipher(key: &KeyBytes) -> Result<LessSafeKey, Error> {
    UnboundKey::new(&AES_256_GCM, key.as_slice())
        .map(LessSafeKey::new)
        .map_err(|_| Error::Cipher)
}

/// The key of one table, or of a part of one, derived from a data key by
/// HKDF-SHA256 (RFC 5869) without salt and with the table's name as info, and
/// NUL and the part if it has parts. Random nonces limit a key to 2^32 values
/// (NIST SP 800-38D, 8.3); this way the limit is per table or part, and version.
pub(super) fn derive(data_key: &KeyBytes, table: &str, part: &[u8]) -> Result<LessSafeKey, Error> {
    let separator: &[u8] = if part.is_empty() { b"" } else { b"\0" };
    extract(data_key.as_slice())
        .expand(&[table.as_bytes(), separator, part], &AES_256_GCM)
        .map(|okm| LessSafeKey::new(UnboundKey::from(okm)))
        .map_err(|_| Error::Cipher)
}

fn extract(key: &[u8]) -> Prk {
    Salt::new(HKDF_SHA256, &[]).extract(key)
}

/// Seals `plain` as `header ‖ 12-byte random nonce ‖ ciphertext ‖ tag`.
pub(super) fn seal(
    key: &LessSafeKey,
    header: &[u8],
    aad: &[u8],
    plain: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut nonce = [0; NONCE_LEN];
    SystemRandom::new()
        .fill(&mut nonce)
        .map_err(|_| Error::Random)?;
    let start = header.len() + NONCE_LEN;
    let mut sealed = Vec::with_capacity(start + plain.len() + MAX_TAG_LEN);
    sealed.extend_from_slice(header);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let body = sealed.get_mut(start..).ok_or(Error::Cipher)?;
    let tag = key
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(aad), body)
        .map_err(|_| Error::Cipher)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Opens what follows the header. `None` when it is not authentic: too short,
/// changed, sealed by another key, or bound to other associated data.
pub(super) fn open(key: &LessSafeKey, aad: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>()?;
    let mut plain = Zeroizing::new(body.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let length = key
        .open_in_place(nonce, Aad::from(aad), plain.as_mut_slice())
        .ok()?
        .len();
    plain.truncate(length);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Length(usize);

    impl ring::hkdf::KeyType for Length {
        fn len(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn derivation_follows_rfc_5869_test_case_3() {
        let mut okm = [0; 42];
        extract(&[0x0b; 22])
            .expand(&[b""], Length(42))
            .unwrap()
            .fill(&mut okm)
            .unwrap();
        let expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                        9d201395faa4b61a96c8";
        let hex: String = okm.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected);
    }

    #[test]
    fn every_changed_bit_is_refused() {
        let key = cipher(&KeyBytes::from([7; KEY_LEN])).unwrap();
        let sealed = seal(&key, &[], b"bound", b"plain").unwrap();
        assert_eq!(open(&key, b"bound", &sealed).unwrap().as_slice(), b"plain");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, b"bound", &changed).is_none(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(open(&key, b"bound", &sealed[..length]).is_none());
        }
    }

    #[test]
    fn nonces_differ() {
        let key = cipher(&KeyBytes::from([7; KEY_LEN])).unwrap();
        let first = seal(&key, &[], b"", b"plain").unwrap();
        let second = seal(&key, &[], b"", b"plain").unwrap();
        assert_ne!(first[..NONCE_LEN], second[..NONCE_LEN]);
    }
}
