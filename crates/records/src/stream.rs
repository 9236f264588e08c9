//! Streams: which there are, and the key of their hashes.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Binary, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl;
use linkspan_shared::db::Connection;
use linkspan_shared::tenancy::EnvironmentId;
use linkspan_shared::vault::{Context, Vault};
use ring::hmac;
use ring::rand::{SecureRandom, SystemRandom};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{Error, Store};

/// The variant of a sync that has no other.
pub const BASE: &str = "base";
/// Longest name of a model or a variant, in bytes.
const LONGEST_NAME: usize = 255;

/// Names a stream: one model and variant of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StreamName {
    /// The environment.
    pub environment: EnvironmentId,
    /// The connection's internal number.
    pub connection: i64,
    /// The model, such as `Contact`.
    pub model: String,
    /// The variant; [`BASE`] when there is no other.
    pub variant: String,
}

impl StreamName {
    /// The base variant of a model.
    pub fn base(environment: EnvironmentId, connection: i64, model: impl Into<String>) -> Self {
        Self {
            environment,
            connection,
            model: model.into(),
            variant: BASE.to_owned(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let fits =
            |name: &str| !name.is_empty() && name.len() <= LONGEST_NAME && !name.contains('\0');
        match fits(&self.model) && fits(&self.variant) {
            true => Ok(()),
            false => Err(Error::InvalidName),
        }
    }
}

/// How much a stream holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, QueryableByName)]
pub struct Counts {
    /// Records that are not deleted.
    #[diesel(sql_type = BigInt)]
    pub live: i64,
    /// Records that are deleted and still shown as such.
    #[diesel(sql_type = BigInt)]
    pub deleted: i64,
    /// What the payloads of both take, compressed and sealed.
    #[diesel(sql_type = BigInt)]
    pub bytes: i64,
    /// When a batch last came, to the hour.
    #[diesel(sql_type = Timestamptz)]
    pub written_at: chrono::DateTime<chrono::Utc>,
}

/// A stream that is there.
pub(crate) struct Stream {
    pub(crate) name: StreamName,
    pub(crate) id: i64,
    key: hmac::Key,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("name", &self.name)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Stream {
    /// What a record of this id is stored under. 122 bits of HMAC-SHA256 and
    /// more: two ids never share one.
    pub(crate) fn key_of(&self, id: &[u8]) -> Uuid {
        self.hash(b"id", id)
    }

    /// What tells whether a content is the one that is stored.
    pub(crate) fn hash_of(&self, canonical: &[u8]) -> Uuid {
        self.hash(b"content", canonical)
    }

    fn hash(&self, of: &[u8], value: &[u8]) -> Uuid {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(of);
        context.update(&[0]);
        context.update(value);
        let tag = context.sign();
        let mut half = [0; 16];
        for (to, from) in half.iter_mut().zip(tag.as_ref()) {
            *to = *from;
        }
        Uuid::from_bytes(half)
    }
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = BigInt)]
    id: i64,
    #[diesel(sql_type = Binary)]
    secret: Vec<u8>,
}

#[derive(QueryableByName)]
struct Next {
    #[diesel(sql_type = BigInt)]
    id: i64,
}

fn context(id: &[u8; 8]) -> Context<'_> {
    Context {
        table: "records.streams",
        column: "secret",
        row: id,
    }
}

/// The stream of a name, if there is one.
pub(crate) async fn find(store: &Store, name: &StreamName) -> Result<Option<Stream>, Error> {
    let row = {
        let mut conn = store.db().conn().await?;
        row(&mut conn, name).await?
    };
    match row {
        Some(row) => Ok(Some(open(store.vault(), name, row).await?)),
        None => Ok(None),
    }
}

/// The stream of a name; made when there is none.
pub(crate) async fn find_or_make(store: &Store, name: &StreamName) -> Result<Stream, Error> {
    name.check()?;
    loop {
        if let Some(found) = find(store, name).await? {
            return Ok(found);
        }
        make(store, name).await?;
    }
}

/// A number and a sealed secret for a new stream.
pub(crate) async fn fresh(store: &Store, name: &StreamName) -> Result<(i64, Vec<u8>), Error> {
    let mut secret = Zeroizing::new([0; 32]);
    SystemRandom::new()
        .fill(secret.as_mut_slice())
        .map_err(|_| Error::Random)?;
    let keys = store.vault().environment(name.environment).await?;
    let mut conn = store.db().conn().await?;
    let Next { id } = diesel::sql_query("SELECT nextval('records.stream_ids') AS id")
        .get_result(&mut conn)
        .await?;
    let sealed = keys.seal(&context(&id.to_be_bytes()), secret.as_slice())?;
    Ok((id, sealed))
}

async fn make(store: &Store, name: &StreamName) -> Result<(), Error> {
    let (id, sealed) = fresh(store, name).await?;
    let mut conn = store.db().conn().await?;
    diesel::sql_query(
        "INSERT INTO records.streams (environment_id, id, connection, model, variant, secret) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (environment_id, connection, model, variant) DO NOTHING",
    )
    .bind::<SqlUuid, _>(name.environment)
    .bind::<BigInt, _>(id)
    .bind::<BigInt, _>(name.connection)
    .bind::<Text, _>(&name.model)
    .bind::<Text, _>(&name.variant)
    .bind::<Binary, _>(sealed)
    .execute(&mut conn)
    .await?;
    Ok(())
}

async fn row(conn: &mut Connection, name: &StreamName) -> Result<Option<Row>, Error> {
    Ok(diesel::sql_query(
        "SELECT id, secret FROM records.streams \
         WHERE environment_id = $1 AND connection = $2 AND model = $3 AND variant = $4",
    )
    .bind::<SqlUuid, _>(name.environment)
    .bind::<BigInt, _>(name.connection)
    .bind::<Text, _>(&name.model)
    .bind::<Text, _>(&name.variant)
    .get_result(conn)
    .await
    .optional()?)
}

async fn open(vault: &Vault, name: &StreamName, row: Row) -> Result<Stream, Error> {
    let id = row.id.to_be_bytes();
    let secret = vault
        .open(name.environment, &context(&id), &row.secret)
        .await?;
    Ok(Stream {
        name: name.clone(),
        id: row.id,
        key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
    })
}

/// How much a stream holds; `None` when there is none of this name.
pub(crate) async fn counts(
    conn: &mut Connection,
    name: &StreamName,
) -> Result<Option<Counts>, Error> {
    Ok(diesel::sql_query(
        "SELECT live, deleted, bytes, written_at FROM records.streams \
         WHERE environment_id = $1 AND connection = $2 AND model = $3 AND variant = $4",
    )
    .bind::<SqlUuid, _>(name.environment)
    .bind::<BigInt, _>(name.connection)
    .bind::<Text, _>(&name.model)
    .bind::<Text, _>(&name.variant)
    .get_result(conn)
    .await
    .optional()?)
}
