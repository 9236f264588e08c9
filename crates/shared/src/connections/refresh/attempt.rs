//! One refresh by the holder of the lease: ask, and keep what is given.

use std::time::Instant;

use linkspan_auth::aws_sigv4::Fault;
use linkspan_auth::{Credentials, Error as Auth, TransportError};
use linkspan_providers::Config;

use super::flights::{Failed, Outcome};
use super::given::Given;
use super::{Lease, failed_elsewhere, reload, state};
use crate::breakpoint::reach;
use crate::connections::{Live, begin};
use crate::logs::{Kind, Level, Operation};
use crate::meter::Counted;
use crate::outbound::Outbound;
use crate::{Core, Error};

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
        Ok(fresh) => {
            let given = Given {
                core,
                keys: &keys,
                lease,
            };
            given.store(live, fresh, &mut operation, &mut counted).await
        }
        Err(error) => failed(core, live, &error, &mut operation, &mut counted).await,
    };
    core.logs.write(operation);
    Some(outcome)
}

pub(super) fn config(live: &Live) -> Config<'_> {
    Config {
        template: &live.template,
        connection: &live.connection.connection_config,
        integration: &live.integration.config,
    }
}

async fn ask_provider(core: &Core, live: &Live, lease: &Lease) -> Result<Credentials, Error> {
    let config = config(live);
    let credentials = &live.connection.credentials;
    let client = begin::client_of(&live.integration, &live.template, credentials)?;
    let provider = Outbound::open_while(core, lease.guard());
    let fresh = linkspan_auth::refresh(client.as_ref(), &config, credentials, &provider).await?;
    if let Some(warning) = &fresh.warning {
        let connection = &live.connection.connection_id;
        tracing::warn!(%warning, connection, "the person's tokens were not refreshed");
    }
    Ok(fresh.credentials)
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
