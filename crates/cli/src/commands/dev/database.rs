//! The database of `dev`: one that the environment names, or a private one.

use anyhow::Result;
use linkspan_localdb::{DATABASE, LocalPostgres, Options};

use super::data_dir::DataDir;
use crate::environment;
use crate::shutdown::Stop;
use crate::terminal::say;

/// A database that is there.
pub(super) struct Database {
    pub(super) url: String,
    private: Option<LocalPostgres>,
}

impl Database {
    /// Starts the private Postgres unless another one is named. `None` when a
    /// stop was requested first; nothing runs then.
    pub(super) async fn start(data: &DataDir, stop: &mut Stop) -> Result<Option<Self>> {
        if let Some(url) = environment::variable("LINKSPAN_DATABASE_URL") {
            say("Using the Postgres that LINKSPAN_DATABASE_URL names.");
            return Ok(Some(Self { url, private: None }));
        }
        say("Starting a private Postgres…");
        let mut options = Options::new(data.path("postgres"));
        options.search_path = environment::variable("PATH").map(Into::into);
        let mut starting = tokio::task::spawn_blocking(move || {
            LocalPostgres::start(&options, &|doing| say(format_args!("  {doing}")))
        });
        let postgres = tokio::select! {
            started = &mut starting => started??,
            () = stop.requested() => {
                say("\nStopping as soon as Postgres can be…");
                // A Ctrl-C reaches the programs that it runs as well; that they
                // failed is what was asked for.
                if let Ok(postgres) = starting.await? {
                    Self::private(postgres).stop().await?;
                }
                return Ok(None);
            }
        };
        Ok(Some(Self::private(postgres)))
    }

    fn private(postgres: LocalPostgres) -> Self {
        Self {
            url: postgres.url(DATABASE),
            private: Some(postgres),
        }
    }

    pub(super) fn is_private(&self) -> bool {
        self.private.is_some()
    }

    pub(super) async fn stop(self) -> Result<()> {
        if let Some(postgres) = self.private {
            tokio::task::spawn_blocking(move || postgres.stop()).await??;
        }
        Ok(())
    }
}
