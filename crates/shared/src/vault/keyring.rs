//! The root keys, which wrap the data keys of environments.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::SecretString;
use zeroize::{Zeroize as _, Zeroizing};

use super::envelope::{self, KEY_LEN, KeyBytes};
use super::error::Error;
use crate::tenancy::EnvironmentId;

/// The first byte of what a root key seals.
const FORMAT: u8 = 1;
const WRAPPED_KEY: &[u8] = b"linkspan data key";
const CHECK: &[u8] = b"linkspan root key check";

/// The configured root keys. The first, primary, one wraps new data keys; the
/// others open what they once wrapped. Cheap to clone; `Debug` shows ids only.
#[derive(Clone)]
pub struct Keyring {
    keys: Arc<[RootKey]>,
}

struct RootKey {
    id: String,
    key: KeyBytes,
}

/// What is wrong with a list of root keys. It names entries by their position,
/// because what was meant as an id may be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyringError {
    /// There must be a primary key.
    #[error("must have at least one root key")]
    Empty,
    /// An entry is not `id:key`.
    #[error("must have entries of the form id:key; entry {position} has no colon")]
    Form {
        /// Counted from 1.
        position: usize,
    },
    /// An id has other characters than allowed, or is too long.
    #[error("must have ids of 1 to 32 characters a-z, 0-9 and -; that of entry {position} is not")]
    Id {
        /// Counted from 1.
        position: usize,
    },
    /// An id appears twice.
    #[error("must have each id once; entry {position} repeats an earlier one")]
    Repeated {
        /// Counted from 1.
        position: usize,
    },
    /// A key is not 32 bytes in base64.
    #[error(
        "must have keys of 32 bytes in base64, as `openssl rand -base64 32` makes them; \
         that of entry {position} is not"
    )]
    Key {
        /// Counted from 1.
        position: usize,
    },
}

impl Keyring {
    /// Reads entries of the form `id:key`: the id 1 to 32 characters of `a-z`,
    /// `0-9` and `-`, unique; the key 32 bytes in base64.
    ///
    /// # Errors
    /// Names the first entry that is not as it must be.
    pub fn parse<S: AsRef<str>>(entries: &[S]) -> Result<Self, KeyringError> {
        let mut keys: Vec<RootKey> = Vec::with_capacity(entries.len());
        for (entry, position) in entries.iter().zip(1..) {
            let key = RootKey::parse(entry.as_ref(), position)?;
            if keys.iter().any(|known| known.id == key.id) {
                return Err(KeyringError::Repeated { position });
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(KeyringError::Empty);
        }
        Ok(Self { keys: keys.into() })
    }

    /// A fresh entry for `vault.root_keys`, `id:key`.
    ///
    /// # Errors
    /// [`Error::Random`].
    pub fn generate(id: &str) -> Result<SecretString, Error> {
        let key = envelope::random_key()?;
        let encoded = Zeroizing::new(STANDARD.encode(key.as_slice()));
        Ok(SecretString::from(format!("{id}:{}", encoded.as_str())))
    }

    /// The id of the key that wraps new data keys.
    #[must_use]
    pub fn primary(&self) -> &str {
        // `parse` lets no empty keyring exist.
        self.keys.first().map_or("", |key| &key.id)
    }

    pub(super) fn contains(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }

    fn key(&self, id: &str) -> Result<&RootKey, Error> {
        self.keys
            .iter()
            .find(|key| key.id == id)
            .ok_or_else(|| Error::MissingRootKey { id: id.to_owned() })
    }

    /// Wraps a data key with the primary root key.
    pub(super) fn wrap(
        &self,
        environment: EnvironmentId,
        version: u32,
        data_key: &KeyBytes,
    ) -> Result<Vec<u8>, Error> {
        self.key(self.primary())?
            .seal(&data_key_aad(environment, version), data_key.as_slice())
    }

    /// Unwraps a data key with the root key that wrapped it.
    pub(super) fn unwrap(
        &self,
        id: &str,
        environment: EnvironmentId,
        version: u32,
        wrapped: &[u8],
    ) -> Result<KeyBytes, Error> {
        let plain = self
            .key(id)?
            .open(&data_key_aad(environment, version), wrapped)?;
        key_bytes(&plain).ok_or_else(|| Error::WrongRootKey { id: id.to_owned() })
    }

    /// A known text sealed by the primary root key.
    pub(super) fn check_value(&self) -> Result<Vec<u8>, Error> {
        let key = self.key(self.primary())?;
        key.seal(&check_aad(&key.id), CHECK)
    }

    /// Whether the key of that id made the check value.
    pub(super) fn verify(&self, id: &str, check_value: &[u8]) -> Result<(), Error> {
        self.key(id)?.open(&check_aad(id), check_value).map(drop)
    }
}

impl RootKey {
    fn parse(entry: &str, position: usize) -> Result<Self, KeyringError> {
        let (id, encoded) = entry
            .split_once(':')
            .ok_or(KeyringError::Form { position })?;
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=32).contains(&id.len()) || !id.chars().all(allowed) {
            return Err(KeyringError::Id { position });
        }
        let mut decoded = STANDARD.decode(encoded.trim()).unwrap_or_default();
        let key = key_bytes(&decoded);
        decoded.zeroize();
        Ok(Self {
            id: id.to_owned(),
            key: key.ok_or(KeyringError::Key { position })?,
        })
    }

    fn seal(&self, aad: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        envelope::seal(&envelope::cipher(&self.key)?, &[FORMAT], aad, plain)
    }

    fn open(&self, aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let key = envelope::cipher(&self.key)?;
        sealed
            .split_first()
            .filter(|(format, _)| **format == FORMAT)
            .and_then(|(_, sealed)| envelope::open(&key, aad, sealed))
            .ok_or_else(|| Error::WrongRootKey {
                id: self.id.clone(),
            })
    }
}

fn key_bytes(bytes: &[u8]) -> Option<KeyBytes> {
    <[u8; KEY_LEN]>::try_from(bytes).ok().map(KeyBytes::from)
}

fn data_key_aad(environment: EnvironmentId, version: u32) -> Vec<u8> {
    [
        WRAPPED_KEY,
        environment.0.as_bytes().as_slice(),
        &version.to_be_bytes(),
    ]
    .concat()
}

fn check_aad(id: &str) -> Vec<u8> {
    [CHECK, id.as_bytes()].concat()
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.keys.iter().map(|key| &key.id))
            .finish()
    }
}
