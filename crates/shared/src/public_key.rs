//! The older browser flow (CONTRACT 2.5): instead of a connect session the
//! browser shows the environment's public key, which everybody can read in the
//! product's pages, and, where the product's backend made one, an HMAC that
//! says which connection it may make or replace.

use diesel::prelude::*;
use diesel_async::RunQueryDsl;
use ring::hmac;
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::connect_sessions::{ConnectSession, Details};
use crate::db::schema::{environments, hmac_keys};
use crate::db::{Connection, Database};
use crate::tenancy::EnvironmentId;
use crate::vault::{Context, Vault};
use crate::{Core, Error, token};

/// What the browser shows.
#[derive(Debug, Default)]
pub struct Shown {
    /// The environment's public key.
    pub public_key: String,
    /// The backend's HMAC, as hexadecimal digits.
    pub hmac: Option<String>,
    /// The id that the connection is to have; a random one when absent.
    pub connection_id: Option<String>,
}

/// The connection that a browser names itself.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Named {
    /// Its id; a random one when absent.
    pub connection_id: Option<String>,
    /// Whether the backend vouches for it: without that, a connection that is
    /// there already is not replaced.
    pub may_replace: bool,
}

fn context(environment: &EnvironmentId) -> Context<'_> {
    Context {
        table: "hmac_keys",
        column: "key",
        row: environment.0.as_bytes(),
    }
}

/// What a browser with a public key may do: as little as a connect session for
/// one integration and one connection.
///
/// # Errors
/// [`Error::InvalidPublicKey`]; [`Error::MissingHmac`] where the environment
/// requires one; [`Error::InvalidHmac`] for a wrong one, required or not.
pub async fn admit(core: &Core, shown: Shown, unique_key: &str) -> Result<ConnectSession, Error> {
    let public_key = Uuid::try_parse(&shown.public_key).map_err(|_| Error::InvalidPublicKey)?;
    let (environment, is_required, sealed) = {
        let mut conn = core.db.conn().await?;
        find(&mut conn, public_key)
            .await?
            .ok_or(Error::InvalidPublicKey)?
    };
    let is_vouched = match (&shown.hmac, sealed) {
        (Some(shown_hmac), Some(sealed)) => {
            let context = context(&environment);
            let key: String = core.vault.open_json(environment, &context, &sealed).await?;
            let about = about(unique_key, shown.connection_id.as_deref());
            if !is_of(&key, &about, shown_hmac) {
                return Err(Error::InvalidHmac);
            }
            true
        }
        // Nobody can have made one without a key.
        (Some(_), None) => return Err(Error::InvalidHmac),
        (None, _) => false,
    };
    if is_required && !is_vouched {
        return Err(Error::MissingHmac);
    }
    Ok(ConnectSession {
        environment_id: environment,
        id: Uuid::nil(),
        allowed_integrations: Some(vec![unique_key.to_owned()]),
        details: Details {
            named: Some(Named {
                connection_id: shown.connection_id,
                may_replace: is_vouched,
            }),
            ..Details::default()
        },
        expires_at: chrono::Utc::now() + core.settings.connect_session_life,
    })
}

/// One of the queries that find the environment rather than take it.
async fn find(
    conn: &mut Connection,
    public_key: Uuid,
) -> Result<Option<(EnvironmentId, bool, Option<Vec<u8>>)>, Error> {
    Ok(environments::table
        .left_join(hmac_keys::table.on(hmac_keys::environment_id.eq(environments::id)))
        .filter(environments::public_key.eq(public_key))
        .select((
            environments::id,
            environments::hmac_required,
            hmac_keys::key.nullable(),
        ))
        .first(conn)
        .await
        .optional()?)
}

/// What an HMAC is made of.
fn about(unique_key: &str, connection_id: Option<&str>) -> String {
    match connection_id {
        Some(connection_id) => format!("{unique_key}:{connection_id}"),
        None => unique_key.to_owned(),
    }
}

/// Whether a text is the HMAC of another, compared in constant time.
fn is_of(key: &str, about: &str, shown: &str) -> bool {
    let Some(tag) = from_hex(shown) else {
        return false;
    };
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    hmac::verify(&key, about.as_bytes(), &tag).is_ok()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text
        .chars()
        .map(|c| u8::try_from(c.to_digit(16)?).ok())
        .collect::<Option<Vec<u8>>>()?;
    let (pairs, []) = digits.as_chunks::<2>() else {
        return None;
    };
    Some(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// The HMAC that a backend makes with the environment's key: SHA-256 over the
/// integration's key, or over that, a colon and the connection's id, in
/// hexadecimal digits. The key's text is the key: it is not decoded.
#[must_use]
pub fn sign(key: &SecretString, unique_key: &str, connection_id: Option<&str>) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.expose_secret().as_bytes());
    let tag = hmac::sign(&key, about(unique_key, connection_id).as_bytes());
    tag.as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The environment's HMAC key, if one was made.
///
/// # Errors
/// When the database or the vault fails.
pub async fn key(
    db: &Database,
    vault: &Vault,
    environment: EnvironmentId,
) -> Result<Option<SecretString>, Error> {
    let sealed: Option<Vec<u8>> = {
        let mut conn = db.conn().await?;
        hmac_keys::table
            .find((environment, environment.0))
            .select(hmac_keys::key)
            .first(&mut conn)
            .await
            .optional()?
    };
    let Some(sealed) = sealed else {
        return Ok(None);
    };
    let context = context(&environment);
    let key: String = vault.open_json(environment, &context, &sealed).await?;
    Ok(Some(key.into()))
}

/// Makes a new HMAC key. What the old one signed is refused from now on.
///
/// # Errors
/// When the database, the vault or the system's randomness fails.
pub async fn rotate(
    db: &Database,
    vault: &Vault,
    environment: EnvironmentId,
) -> Result<SecretString, Error> {
    let key = token::random_hex::<32>()?.into();
    set(db, vault, environment, &key).await?;
    Ok(key)
}

/// Sets the HMAC key. What another one signed is refused from now on.
///
/// # Errors
/// When the database or the vault fails.
pub async fn set(
    db: &Database,
    vault: &Vault,
    environment: EnvironmentId,
    key: &SecretString,
) -> Result<(), Error> {
    let keys = vault.environment(environment).await?;
    let sealed = keys.seal_json(&context(&environment), &key.expose_secret())?;
    let mut conn = db.conn().await?;
    diesel::insert_into(hmac_keys::table)
        .values((
            hmac_keys::environment_id.eq(environment),
            hmac_keys::id.eq(environment.0),
            hmac_keys::key.eq(&sealed),
        ))
        .on_conflict((hmac_keys::environment_id, hmac_keys::id))
        .do_update()
        .set((
            hmac_keys::key.eq(&sealed),
            hmac_keys::created_at.eq(diesel::dsl::now),
        ))
        .execute(&mut conn)
        .await?;
    Ok(())
}

/// Whether a public key needs an HMAC beside it.
///
/// # Errors
/// When the database fails, or the environment was deleted.
pub async fn is_hmac_required(db: &Database, environment: EnvironmentId) -> Result<bool, Error> {
    let mut conn = db.conn().await?;
    Ok(environments::table
        .find(environment)
        .select(environments::hmac_required)
        .first(&mut conn)
        .await?)
}

/// Sets whether a public key needs an HMAC beside it.
///
/// # Errors
/// When the database fails.
pub async fn require_hmac(
    db: &Database,
    environment: EnvironmentId,
    is_required: bool,
) -> Result<(), Error> {
    let mut conn = db.conn().await?;
    diesel::update(environments::table.find(environment))
        .set(environments::hmac_required.eq(is_required))
        .execute(&mut conn)
        .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn an_hmac_is_sha_256_over_the_text() {
        let tag = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert!(is_of("Jefe", "what do ya want for nothing?", tag));
        assert!(is_of(
            "Jefe",
            "what do ya want for nothing?",
            &tag.to_uppercase()
        ));
        for wrong in [
            "",
            "5",
            &tag[2..],
            &tag.replace('5', "6"),
            &format!("{tag}00"),
            "zz",
            "é",
        ] {
            assert!(
                !is_of("Jefe", "what do ya want for nothing?", wrong),
                "{wrong}"
            );
        }
    }

    #[test]
    fn an_hmac_names_the_connection_that_it_is_for() {
        let key: SecretString = "key".into();
        let signed = sign(&key, "github", Some("user-1"));
        assert!(is_of("key", "github:user-1", &signed));
        assert!(!is_of("key", "github:user-2", &signed));
        assert!(!is_of("key", "github", &signed));
        assert!(is_of("key", "github", &sign(&key, "github", None)));
    }
}
