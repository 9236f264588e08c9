//! One file a sub-command.

use std::path::Path;

use anyhow::Result;
use clap::Subcommand;

mod admin;
mod config;
mod dev;
mod jobs;
mod keys;
mod migrate;
mod openapi;
mod providers;
mod server;
mod worker;

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run everything on this machine: a private Postgres, the server and a
    /// demo provider.
    Dev(dev::Args),
    /// Run the HTTP server.
    Server,
    /// Run jobs: at least one worker beside the servers.
    Worker,
    /// Bring the database's tables up to date.
    Migrate,
    /// Commands for whoever operates this installation.
    #[command(subcommand)]
    Admin(admin::Command),
    /// Jobs: those that failed too often, and how many run at once.
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// Root and data keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// The configuration.
    #[command(subcommand)]
    Config(config::Command),
    /// Provider templates.
    #[command(subcommand)]
    Providers(providers::Command),
    /// Print the OpenAPI document of the HTTP API.
    Openapi,
}

impl Command {
    pub(crate) async fn run(self, file: Option<&Path>) -> Result<()> {
        match self {
            Self::Dev(args) => dev::run(file, args).await,
            Self::Server => server::run(file).await,
            Self::Worker => worker::run(file).await,
            Self::Jobs(command) => jobs::run(file, command).await,
            Self::Migrate => migrate::run(file).await,
            Self::Admin(command) => admin::run(file, command).await,
            Self::Keys(command) => keys::run(file, command).await,
            Self::Config(command) => config::run(file, command),
            Self::Providers(command) => providers::run(file, command),
            Self::Openapi => openapi::run(),
        }
    }
}
