//! Sealing and opening values with the data keys of one environment.

use std::collections::BTreeMap;
use std::fmt;

use ring::aead::LessSafeKey;
use serde::Serialize;
use serde::de::DeserializeOwned;
use zeroize::Zeroizing;

use super::envelope::{self, KeyBytes};
use super::error::Error;
use super::sealed::{RowId, SEALED};
use crate::tenancy::EnvironmentId;

/// The first byte of a sealed value.
const FORMAT: u8 = 1;

/// Where a value is stored. A value opens only where it was sealed for.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The table.
    pub table: &'static str,
    /// The column.
    pub column: &'static str,
    /// The row's `id`: a UUID's 16 bytes, or a `bigint`'s 8, big-endian. Of a
    /// record its stream's 8 bytes and the 16 of its key.
    pub row: &'a [u8],
}

impl<'a> Context<'a> {
    /// The part of the table that has a key of its own: of records, their
    /// stream.
    fn part(&self) -> &'a [u8] {
        let is_parted = SEALED
            .iter()
            .any(|s| s.table == self.table && s.row == RowId::Record);
        match is_parted {
            true => self.row.get(..8).unwrap_or_default(),
            false => &[],
        }
    }
}

fn check_listed(table: &'static str, column: &'static str) -> Result<(), Error> {
    match SEALED
        .iter()
        .any(|s| s.table == table && s.column == column)
    {
        true => Ok(()),
        false => Err(Error::Unlisted { table, column }),
    }
}

/// The keys of one part of a table, of which many values are sealed or opened:
/// deriving them costs as much as sealing a few hundred bytes. Keep it for as
/// long as one batch.
pub struct Part<'k> {
    keys: &'k EnvironmentKeys,
    table: &'static str,
    column: &'static str,
    derived: BTreeMap<u32, LessSafeKey>,
}

impl Part<'_> {
    /// As [`EnvironmentKeys::seal`].
    ///
    /// # Errors
    /// As [`EnvironmentKeys::seal`].
    pub fn seal(&self, row: &[u8], plain: &[u8]) -> Result<Vec<u8>, Error> {
        let version = self.keys.sealing;
        let key = self.derived.get(&version).ok_or(Error::NoDataKey {
            environment: self.keys.environment,
        })?;
        let [a, b, c, d] = version.to_be_bytes();
        let aad = self.keys.aad(&self.context(row));
        envelope::seal(key, &[FORMAT, a, b, c, d], &aad, plain)
    }

    /// As [`EnvironmentKeys::open`].
    ///
    /// # Errors
    /// As [`EnvironmentKeys::open`].
    pub fn open(&self, row: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let context = self.context(row);
        let (version, body) = split(&context, sealed)?;
        let key = self
            .derived
            .get(&version)
            .ok_or(Error::UnknownVersion { version })?;
        envelope::open(key, &self.keys.aad(&context), body).ok_or(Error::Refused {
            table: self.table,
            column: self.column,
        })
    }

    fn context<'a>(&self, row: &'a [u8]) -> Context<'a> {
        Context {
            table: self.table,
            column: self.column,
            row,
        }
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// The version of the data key that sealed a value, and what follows.
fn split<'s>(context: &Context<'_>, sealed: &'s [u8]) -> Result<(u32, &'s [u8]), Error> {
    let Context { table, column, .. } = *context;
    let (header, body) = sealed
        .split_first_chunk::<5>()
        .ok_or(Error::Malformed { table, column })?;
    let [FORMAT, a, b, c, d] = *header else {
        return Err(Error::Malformed { table, column });
    };
    Ok((u32::from_be_bytes([a, b, c, d]), body))
}

/// The data keys of one environment, all versions of them. The newest one that
/// every process has had time to load seals. `Debug` shows no keys, and
/// dropping erases them.
///
/// A sealed value is `1 ‖ version of the data key (u32, big-endian) ‖ 12-byte
/// nonce ‖ ciphertext ‖ 16-byte tag`.
pub struct EnvironmentKeys {
    environment: EnvironmentId,
    keys: BTreeMap<u32, KeyBytes>,
    sealing: u32,
}

impl EnvironmentKeys {
    /// `sealing` is the version that seals, one of `keys`.
    pub(super) fn new(
        environment: EnvironmentId,
        keys: BTreeMap<u32, KeyBytes>,
        sealing: u32,
    ) -> Self {
        Self {
            environment,
            keys,
            sealing,
        }
    }

    /// The newest version, known to all processes or not.
    pub(super) fn newest(&self) -> Option<u32> {
        self.keys.last_key_value().map(|(version, _)| *version)
    }

    /// Seals a value for one place.
    ///
    /// # Errors
    /// [`Error::Unlisted`] for a column that rotation does not know;
    /// [`Error::NoDataKey`], [`Error::Random`], [`Error::Cipher`].
    pub fn seal(&self, context: &Context<'_>, plain: &[u8]) -> Result<Vec<u8>, Error> {
        self.seal_with(self.sealing, context, plain)
    }

    /// Whether the data keys that sealed these values are all among these, which
    /// [`Part::open`] needs; if not, [`Vault::reload`](super::Vault::reload).
    #[must_use]
    pub fn know_all<'s>(&self, sealed: impl IntoIterator<Item = &'s [u8]>) -> bool {
        let known = |value: &[u8]| {
            let version = value.get(1..5)?.try_into().ok()?;
            Some(self.keys.contains_key(&u32::from_be_bytes(version)))
        };
        // What is no sealed value is found when it is opened.
        sealed.into_iter().all(|value| known(value).unwrap_or(true))
    }

    /// The keys of one part of a table whose rows are records; `part` is the
    /// stream's number, big-endian.
    ///
    /// # Errors
    /// [`Error::Unlisted`], [`Error::Cipher`].
    pub fn part(
        &self,
        table: &'static str,
        column: &'static str,
        part: &[u8; 8],
    ) -> Result<Part<'_>, Error> {
        check_listed(table, column)?;
        let derived = self
            .keys
            .iter()
            .map(|(version, key)| Ok((*version, envelope::derive(key, table, part)?)))
            .collect::<Result<_, Error>>()?;
        Ok(Part {
            keys: self,
            table,
            column,
            derived,
        })
    }

    /// As [`EnvironmentKeys::seal`], with the version that the caller chooses.
    pub(super) fn seal_with(
        &self,
        version: u32,
        context: &Context<'_>,
        plain: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let Context { table, column, .. } = *context;
        check_listed(table, column)?;
        let key = self.keys.get(&version).ok_or(Error::NoDataKey {
            environment: self.environment,
        })?;
        let [a, b, c, d] = version.to_be_bytes();
        envelope::seal(
            &envelope::derive(key, table, context.part())?,
            &[FORMAT, a, b, c, d],
            &self.aad(context),
            plain,
        )
    }

    /// Opens a value that was sealed for this place. The result is erased when
    /// dropped.
    ///
    /// # Errors
    /// [`Error::UnknownVersion`] when a newer data key sealed it than these;
    /// [`Error::Refused`] when it was changed or belongs elsewhere;
    /// [`Error::Malformed`].
    pub fn open(&self, context: &Context<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let Context { table, column, .. } = *context;
        let (version, body) = split(context, sealed)?;
        let key = self
            .keys
            .get(&version)
            .ok_or(Error::UnknownVersion { version })?;
        envelope::open(
            &envelope::derive(key, table, context.part())?,
            &self.aad(context),
            body,
        )
        .ok_or(Error::Refused { table, column })
    }

    /// Seals a value as JSON.
    ///
    /// # Errors
    /// As [`EnvironmentKeys::seal`], and [`Error::Json`] when the value has no
    /// JSON form.
    pub fn seal_json<T: Serialize + ?Sized>(
        &self,
        context: &Context<'_>,
        value: &T,
    ) -> Result<Vec<u8>, Error> {
        let Context { table, column, .. } = *context;
        let plain = serde_json::to_vec(value).map_err(|_| Error::Json { table, column })?;
        self.seal(context, &Zeroizing::new(plain))
    }

    /// Opens a value that was sealed as JSON.
    ///
    /// # Errors
    /// As [`EnvironmentKeys::open`], and [`Error::Json`] when it is not a `T`.
    pub fn open_json<T: DeserializeOwned>(
        &self,
        context: &Context<'_>,
        sealed: &[u8],
    ) -> Result<T, Error> {
        from_json(context, &self.open(context, sealed)?)
    }

    /// `environment ‖ table ‖ column ‖ row`. Names are preceded by their length
    /// so that no two places have the same bytes; Postgres keeps them under 64.
    fn aad(&self, context: &Context<'_>) -> Vec<u8> {
        let mut aad = self.environment.0.as_bytes().to_vec();
        for name in [context.table, context.column] {
            aad.extend_from_slice(&(name.len() as u64).to_be_bytes());
            aad.extend_from_slice(name.as_bytes());
        }
        aad.extend_from_slice(context.row);
        aad
    }
}

pub(super) fn from_json<T: DeserializeOwned>(
    context: &Context<'_>,
    plain: &[u8],
) -> Result<T, Error> {
    serde_json::from_slice(plain).map_err(|_| Error::Json {
        table: context.table,
        column: context.column,
    })
}

impl fmt::Debug for EnvironmentKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnvironmentKeys")
            .field("environment", &self.environment.0)
            .field("versions", &self.keys.keys().collect::<Vec<_>>())
            .finish()
    }
}
