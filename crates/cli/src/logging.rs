//! What the process itself logs, to standard error.

use std::io::IsTerminal as _;

use anyhow::{Context, Result};
use linkspan_shared::config::{Config, LogFormat};
use tracing_subscriber::EnvFilter;

/// How the HTTP server starts and ends its threads is news to nobody, and what
/// a stranger sends that is no HTTP must not fill the log; a setting of the
/// same name comes after it and wins.
const QUIET: &str = "actix_server=warn,actix_http=off";

/// Starts logging as the configuration says.
///
/// # Errors
/// When the level cannot be read, or logging was started before.
pub(crate) fn start(config: &Config) -> Result<()> {
    let filter = EnvFilter::try_new(format!("{QUIET},{}", config.logs.level))
        .context("logs.level cannot be read")?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match config.logs.format {
        LogFormat::Text => builder.with_target(false).try_init(),
        LogFormat::Json => builder.json().try_init(),
    }
    .map_err(|error| anyhow::anyhow!("{error}"))
}
