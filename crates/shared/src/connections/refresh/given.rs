//! What becomes of what a provider has given.

use std::time::Duration;

use linkspan_auth::Credentials;
use secrecy::ExposeSecret;

use super::flights::{Failed, Outcome};
use super::state::{self, Fresh};
use super::{Lease, attempt};
use crate::breakpoint::reach;
use crate::connections::{Live, begin, store};
use crate::logs::{Level, Operation};
use crate::meter::Counted;
use crate::outbound::Outbound;
use crate::vault::EnvironmentKeys;
use crate::{Core, Error};

/// How soon a success that could not be stored is stored again, and how long
/// that may grow while the database stays away.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Stores what a provider gives to the holder of the lease.
pub(super) struct Given<'a> {
    pub(super) core: &'a Core,
    pub(super) keys: &'a EnvironmentKeys,
    pub(super) lease: &'a Lease,
}

enum Kept {
    Stored(Box<store::Connection>),
    Overtaken(Box<store::Connection>),
}

impl Given<'_> {
    /// Stores new credentials, and then gets and stores what is kept beside them.
    pub(super) async fn store(
        &self,
        live: Live,
        fresh: Credentials,
        operation: &mut Operation,
        counted: &mut Counted,
    ) -> Outcome {
        let failing_since = live.connection.last_refresh_failure_at;
        let has_more = linkspan_auth::has_beside(&live.template, &fresh);
        let given = Fresh {
            credentials: &fresh,
            operation: operation.id,
            unfinished: has_more.then_some(self.lease),
        };
        match self.keep(&live, &given).await {
            Ok(Kept::Stored(connection)) => {
                counted.outcome = "stored";
                operation.say(Level::Info, "Credentials refreshed");
                if let Some(at) = failing_since {
                    let text = format!("Refreshes work again; the last to fail was at {at}");
                    operation.say(Level::Info, text);
                }
                let live = with(live, connection);
                Ok(match has_more {
                    true => self.go_on(live, operation).await,
                    false => live,
                })
            }
            Ok(Kept::Overtaken(connection)) => {
                counted.outcome = "overtaken";
                let text =
                    "Newer credentials were stored meanwhile; the refreshed ones are not needed";
                operation.say(Level::Warn, text);
                Ok(with(live, connection))
            }
            Err(error) => {
                counted.outcome = "lost";
                let text = format!("The refreshed credentials could not be stored: {error}");
                operation.fail(Some(error.code().as_str()), text);
                Err(Failed::new(error))
            }
        }
    }

    /// Refreshes what is kept beside the credentials, which are stored by now. Its
    /// failure costs these nothing.
    async fn go_on(&self, live: Live, operation: &mut Operation) -> Live {
        let kept = match self.ask_beside(&live).await {
            Ok(None) => return live,
            Ok(Some(fresh)) => {
                reach("refresh.beside");
                let given = Fresh {
                    credentials: &fresh,
                    operation: operation.id,
                    unfinished: None,
                };
                self.keep(&live, &given).await
            }
            Err(error) => Err(error),
        };
        match kept {
            Ok(Kept::Stored(connection) | Kept::Overtaken(connection)) => with(live, connection),
            Err(error) => {
                let text = format!("The tokens beside them were not refreshed: {error}");
                operation.say(Level::Warn, text);
                live
            }
        }
    }

    async fn ask_beside(&self, live: &Live) -> Result<Option<Credentials>, Error> {
        let config = attempt::config(live);
        let credentials = &live.connection.credentials;
        let client = begin::client_of(&live.integration, &live.template, credentials)?;
        let provider = Outbound::open_while(self.core, self.lease.guard());
        let client = client.as_ref();
        Ok(linkspan_auth::refresh_beside(client, &config, credentials, &provider).await?)
    }

    /// Stores what the provider gave, however long the database is away: it may be
    /// the only valid token. It ends only with the process, or when the connection
    /// is gone.
    async fn keep(&self, live: &Live, fresh: &Fresh<'_>) -> Result<Kept, Error> {
        let mut spent = live.connection.clone();
        let mut pause = FIRST_PAUSE;
        loop {
            match self.try_to_keep(live, &mut spent, fresh).await {
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
        &self,
        live: &Live,
        spent: &mut store::Connection,
        fresh: &Fresh<'_>,
    ) -> Result<Option<Kept>, Error> {
        let mut conn = self.core.db.conn().await?;
        let stored = state::replace_credentials(&mut conn, self.keys, spent, fresh).await?;
        if let Some(stored) = stored {
            return Ok(Some(Kept::Stored(Box::new(stored))));
        }
        let id = &spent.connection_id;
        // By the newest keys: what has changed may be sealed with them.
        drop(conn);
        let keys = self.core.vault.environment(spent.environment_id).await?;
        let mut conn = self.core.db.conn().await?;
        let changed = store::get(&mut conn, &keys, &live.integration, id).await?;
        let is_same =
            changed.id == spent.id && spends_the_same(&changed.credentials, &spent.credentials);
        // Where refresh tokens do not rotate, what was stored meanwhile is newer.
        if !is_same || spends_the_same(fresh.credentials, &spent.credentials) {
            return Ok(Some(Kept::Overtaken(Box::new(changed))));
        }
        *spent = changed;
        Ok(None)
    }
}

fn with(live: Live, connection: Box<store::Connection>) -> Live {
    Live {
        connection: *connection,
        ..live
    }
}

/// Whether both would spend the same refresh token.
fn spends_the_same(stored: &Credentials, spent: &Credentials) -> bool {
    let token = |credentials: &Credentials| {
        let token = credentials.refresh_token();
        token.map(|token| token.expose_secret().to_owned())
    };
    token(spent).is_some_and(|spent| token(stored) == Some(spent))
}
