//! The only place that reads the environment and configuration files.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use linkspan_shared::config::Config;

/// Names the configuration file when `--config` does not.
const FILE: &str = "LINKSPAN_CONFIG";

/// Loads the configuration: built-in defaults, then the file, then the
/// environment, then `overrides`.
///
/// # Errors
/// Every problem of the configuration at once, or a file that cannot be read.
pub(crate) fn config(file: Option<&Path>, overrides: &[(&str, String)]) -> Result<Config> {
    let path = file
        .map(PathBuf::from)
        .or_else(|| variable(FILE).map(PathBuf::from));
    let text = path
        .as_deref()
        .map(|path| {
            std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the configuration file {}", path.display()))
        })
        .transpose()?;
    let overridden = overrides
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    let environment = variables()
        .filter(|(name, _)| !overrides.iter().any(|(overridden, _)| overridden == name))
        .chain(overridden);
    Ok(Config::load(
        path.as_deref().zip(text.as_deref()),
        environment,
    )?)
}

/// A variable of the environment, if it is set to anything.
#[expect(clippy::disallowed_methods, reason = "this is the place")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// All variables. Others' may be no Unicode, which `std::env::vars` panics on.
fn variables() -> impl Iterator<Item = (String, String)> {
    let text = |os: std::ffi::OsString| os.to_string_lossy().into_owned();
    std::env::vars_os().map(move |(name, value)| (text(name), text(value)))
}
