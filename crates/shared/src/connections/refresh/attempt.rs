//! One refresh by the holder of the lease: ask, and keep what is given.

use std::time::{Duration, Instant};

use linkspan_auth::aws_sigv4::Fault;
use linkspan_auth::{Credentials, Error as Auth, TransportError};
use linkspan_providers::Config;
use secrecy::ExposeSecret;
use uuid::Uuid;

use super::flights::{Failed, Outcome};
use super::{Lease, failed_elsewhere, reload, state};
use crate::breakpoint::reach;
use crate::connections::{Live, begin, store};
use crate::logs::{Kind, Level, Operation};
use crate::meter::Counted;
use crate::outbound::Outbound;
use crate::vault::EnvironmentKeys;
use crate::{Core, Error};

/// How soon a success that could not be stored is stored again, and how long
/// that may grow while the database stays away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Refreshes while the lease is kept, and gives it back. Nothing when it was
/// lost before the provider was asked.
pub(super) async fn run(core: &Core, live: Live, lease: Lease) -> Option<Outcome> {
    let outcome = tokio::select! {
        outcome = attempt(core, live, &lease) => outcome,
        never = lease.keep(core) => match never {},
    };
    reach("refresh.stored");
    if let Err(error) = lease.release(core).await {
        tracing::warn!(%error, "a refresh lease could not be released; it will run out");
    }
    reach("refresh.released");
    outcome
}

async fn attempt(core: &Core, live: Live, lease: &Lease) -> Option<Outcome> {
    // Between reading the row and taking the lease another may have refreshed.
    let seen = (
        live.connection.credentials_version,
        live.connection.last_refresh_failure_at,
    );
    let live = match reload(core, live).await {
        Ok(live) => live,
        Err(error) => return Some(Err(Failed::new(error))),
    };
    if live.connection.credentials_version != seen.0 {
        return Some(Ok(live));
    }
    if live.connection.last_refresh_failure_at != seen.1 {
        return Some(Err(failed_elsewhere()));
    }
    // Got now: without them what the provider gives could not be stored.
    let keys = core.vault.environment(live.integration.environment_id);
    let keys = match keys.await {
        Ok(keys) => keys,
        Err(error) => return Some(Err(Failed::new(error.into()))),
    };
    let mut operation = Operation::begin(live.integration.environment_id, Kind::Auth, "refresh")
        .about(
            &live.integration.unique_key,
            &live.integration.provider,
            &live.connection.connection_id,
        );
    reach("refresh.leased");
    let begun = Instant::now();
    let asked = ask_provider(core, &live, lease).await;
    if asked.is_err() && lease.was_missed() {
        return None;
    }
    let mut counted = Counted::new(&live.integration.provider, begun.elapsed());
    reach("refresh.answered");
    let outcome = match asked {
        Ok(fresh) => succeeded(core, &keys, live, fresh, &mut operation, &mut counted).await,
        Err(error) => failed(core, live, &error, &mut operation, &mut counted).await,
    };
    core.logs.write(operation);
    Some(outcome)
}

async fn ask_provider(core: &Core, live: &Live, lease: &Lease) -> Result<Credentials, Error> {
    let config = Config {
        template: &live.template,
        connection: &live.connection.connection_config,
        integration: &live.integration.config,
    };
    let credentials = &live.connection.credentials;
    let client = begin::client_of(&live.integration, &live.template, credentials)?;
    let provider = Outbound::open_while(core, lease.guard());
    let fresh = linkspan_auth::refresh(client.as_ref(), &config, credentials, &provider).await?;
    if let Some(warning) = &fresh.warning {
        let connection = &live.connection.connection_id;
        tracing::warn!(%warning, connection, "tokens beside the connection's were not refreshed");
    }
    Ok(fresh.credentials)
}

async fn succeeded(
    core: &Core,
    keys: &EnvironmentKeys,
    live: Live,
    fresh: Credentials,
    operation: &mut Operation,
    counted: &mut Counted,
) -> Outcome {
    let failing_since = live.connection.last_refresh_failure_at;
    match keep(core, keys, &live, &fresh, operation.id).await {
        Ok(Kept::Stored(connection)) => {
            counted.outcome = "stored";
            operation.say(Level::Info, "Credentials refreshed");
            if let Some(at) = failing_since {
                let text = format!("Refreshes work again; the last to fail was at {at}");
                operation.say(Level::Info, text);
            }
            Ok(Live {
                connection: *connection,
                ..live
            })
        }
        Ok(Kept::Overtaken(connection)) => {
            counted.outcome = "overtaken";
            let text = "Newer credentials were stored meanwhile; the refreshed ones are not needed";
            operation.say(Level::Warn, text);
            Ok(Live {
                connection: *connection,
                ..live
            })
        }
        Err(error) => {
            counted.outcome = "lost";
            let text = format!("The refreshed credentials could not be stored: {error}");
            operation.fail(Some(error.code().as_str()), text);
            Err(Failed::new(error))
        }
    }
}

enum Kept {
    Stored(Box<store::Connection>),
    Overtaken(Box<store::Connection>),
}

/// Stores what the provider gave, however long the database is away: it may be
/// the only valid token. It ends only with the process, or when the connection
/// is gone.
async fn keep(
    core: &Core,
    keys: &EnvironmentKeys,
    live: &Live,
    fresh: &Credentials,
    operation: Uuid,
) -> Result<Kept, Error> {
    let mut spent = live.connection.clone();
    let mut pause = FIRST_PAUSE;
    loop {
        match try_to_keep(core, keys, live, &mut spent, fresh, operation).await {
            Ok(Some(kept)) => return Ok(kept),
            Ok(None) => {}
            Err(error) if error.is_outage() => {
                tracing::warn!(%error, "refreshed credentials could not be stored; trying again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

/// Nothing when the row has changed and still holds the refresh token that was
/// spent: what is in `spent` then is what it has changed to.
async fn try_to_keep(
    core: &Core,
    keys: &EnvironmentKeys,
    live: &Live,
    spent: &mut store::Connection,
    fresh: &Credentials,
    operation: Uuid,
) -> Result<Option<Kept>, Error> {
    let mut conn = core.db.conn().await?;
    let stored = state::replace_credentials(&mut conn, keys, spent, fresh, operation).await?;
    if let Some(stored) = stored {
        return Ok(Some(Kept::Stored(Box::new(stored))));
    }
    let id = &spent.connection_id;
    // By the newest keys: what has changed may be sealed with them.
    drop(conn);
    let keys = core.vault.environment(spent.environment_id).await?;
    let mut conn = core.db.conn().await?;
    let changed = store::get(&mut conn, &keys, &live.integration, id).await?;
    let is_same =
        changed.id == spent.id && spends_the_same(&changed.credentials, &spent.credentials);
    // Where refresh tokens do not rotate, what was stored meanwhile is newer.
    if !is_same || spends_the_same(fresh, &spent.credentials) {
        return Ok(Some(Kept::Overtaken(Box::new(changed))));
    }
    *spent = changed;
    Ok(None)
}

/// Whether both would spend the same refresh token.
fn spends_the_same(stored: &Credentials, spent: &Credentials) -> bool {
    let token = |credentials: &Credentials| {
        let token = credentials.refresh_token();
        token.map(|token| token.expose_secret().to_owned())
    };
    token(spent).is_some_and(|spent| token(stored) == Some(spent))
}

async fn failed(
    core: &Core,
    live: Live,
    error: &Error,
    operation: &mut Operation,
    counted: &mut Counted,
) -> Outcome {
    let version = live.connection.credentials_version;
    let now = match reload(core, live).await {
        // The token was refused because another server had spent it.
        Ok(newer) if newer.connection.credentials_version != version => {
            counted.outcome = "overtaken";
            let text = format!("Not needed: another refresh was faster ({error})");
            operation.say(Level::Info, text);
            return Ok(newer);
        }
        now => now,
    };
    counted.outcome = "failed";
    operation.fail(Some(error.code().as_str()), error.to_string());
    let noted = async {
        let mut conn = core.db.conn().await?;
        state::note_failure(&mut conn, &now?.connection, operation.id, counts(error)).await
    };
    if let Err(error) = noted.await {
        tracing::warn!(%error, "a failed refresh could not be noted at its connection");
    }
    Err(Failed::new(Error::RefreshFailed(error.to_string())))
}

/// Whether a failure counts towards exhaustion: the provider was asked, and
/// gave no token. What is wrong on this side is no reason to give up.
fn counts(error: &Error) -> bool {
    matches!(
        error,
        Error::Auth(
            Auth::Transport(TransportError::Timeout | TransportError::Failed(_))
                | Auth::Refused { .. }
                | Auth::Unreadable { .. }
                | Auth::NoAccessToken { .. }
                | Auth::Aws(Fault::Refused { .. })
        )
    )
}
