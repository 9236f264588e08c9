//! Random capabilities: shown once, stored and found by their hash.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};

/// `N` random bytes as lower-case hexadecimal digits.
///
/// # Errors
/// When the operating system has no randomness to give.
pub fn random_hex<const N: usize>() -> Result<String, NoRandomness> {
    use std::fmt::Write;
    let mut bytes = [0u8; N];
    SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_| NoRandomness)?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// The hash by which a capability is stored and found. It is random and long,
/// so a fast hash is safe.
#[must_use]
pub fn hash(token: &str) -> Vec<u8> {
    digest(&SHA256, token.as_bytes()).as_ref().to_vec()
}

/// The operating system has no randomness to give.
#[derive(Debug, thiserror::Error)]
#[error("the operating system has no randomness to give")]
pub struct NoRandomness;
